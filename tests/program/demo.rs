//! What most tests begin with: a gateway, the sandbox behind it, and a shop that uses them.

use std::path::Path;

use tempfile::TempDir;

use super::records;
use super::running::{Gateway, Sandbox};
use super::shop::Shop;

/// How much larger a gateway may be after an attack, bytes.
pub const MAX_GROWTH: u64 = 64 * 1024 * 1024;

/// All of the demo, in processes and a folder of its own.
pub struct Demo {
    pub shop: Shop,
    pub gateway: Gateway,
    _sandbox: Sandbox,
    pub folder: TempDir,
}

impl Demo {
    pub fn start() -> Self {
        Self::of(Gateway::start)
    }

    /// With a gateway that is started otherwise.
    pub fn of(start: impl FnOnce(&Path, &Sandbox) -> Gateway) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(folder.path());
        let gateway = start(folder.path(), &sandbox);
        let shop = Shop::new(&gateway.url, &sandbox.url);
        Self { shop, gateway, _sandbox: sandbox, folder }
    }

    /// Everything that is counted.
    pub async fn metrics(&self) -> String {
        reqwest::get(format!("{}/metrics", self.gateway.ops_url)).await.unwrap().text().await.unwrap()
    }

    /// The same gateway once more, killed first.
    pub fn restart(self) -> Self {
        Self { gateway: self.gateway.restart(), ..self }
    }

    /// The gateway is killed, and its records fit.
    pub fn ends(mut self) {
        self.gateway.kill();
        assert!(records::fit(self.folder.path()));
    }
}
