//! `paymux keys`: create, list, revoke.

use super::books::run;

#[test]
fn a_key_is_listed_by_its_first_letters_and_revoked_by_them() {
    let folder = tempfile::tempdir().unwrap();
    let keys = |arguments: &[&str]| {
        let done = run(folder.path(), &[&["keys"], arguments].concat());
        (done.status.code(), String::from_utf8(done.stdout).unwrap())
    };
    assert_eq!(keys(&["create", "--merchant", ""]).0, Some(2), "a key belongs to a merchant");
    let (_, made) = keys(&["create", "--merchant", "shop", "--scopes", "payments,ops"]);
    let key = made.trim_end();
    assert_eq!(made.lines().count(), 1, "a script takes what is printed for the key: {made}");
    let (_, listed) = keys(&["list"]);
    let letters = listed.split_whitespace().next().unwrap();
    assert!(key.starts_with(letters.trim_end_matches('…')) && !listed.contains(key), "{listed}");
    assert!(listed.contains("  shop  payments,ops  ") && listed.ends_with("  active\n"), "{listed}");
    assert_eq!(keys(&["revoke", "pmx_live_"]).0, Some(1), "every key starts so");
    assert_eq!(keys(&["revoke", letters]).0, Some(0));
    assert!(keys(&["list"]).1.contains("  revoked "));
}
