//! Centra.

use std::collections::BTreeMap;

use selvedge_connector::{Connection, Connector, OpenContext, SettingProblem};

/// Centra.
#[derive(Debug)]
pub struct Centra;

impl Connector for Centra {
    fn name(&self) -> &'static str {
        "centra"
    }
    fn secret_settings(&self) -> &'static [&'static str] {
        todo!("helper")
    }
    fn settings(&self) -> BTreeMap<&'static str, &'static str> {
        todo!("helper")
    }
    fn open(&self, _context: &OpenContext<'_>) -> Result<Connection, Vec<SettingProblem>> {
        todo!("helper")
    }
}
