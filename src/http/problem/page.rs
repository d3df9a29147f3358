//! The page of a code: what a person finds at a problem's `type`.

use super::Code;

/// A small page, complete in itself. Its texts are the catalogue's own, which have nothing to escape but `<`, `>`
/// and `&`.
pub(in crate::http) fn page(code: Code) -> String {
    let (name, status) = (code.as_str(), code.status());
    let (title, help) = (escaped(code.title()), escaped(code.help()));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name}</title>\n\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}}</style>\n\
         <h1>{title}</h1>\n<p><code>{name}</code> &middot; HTTP {status}</p>\n<p>{help}</p>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
