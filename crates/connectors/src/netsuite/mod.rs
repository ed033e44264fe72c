//! NetSuite.

use std::collections::BTreeMap;

use selvedge_connector::{Connection, Connector, OpenContext, SettingProblem};

/// NetSuite.
#[derive(Debug)]
pub struct NetSuite;

impl Connector for NetSuite {
    fn name(&self) -> &'static str {
        "netsuite"
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
