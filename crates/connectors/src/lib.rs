//! One folder per system, one line per system here.

pub mod centra;
pub mod channels;
mod complaint;
mod handed_over;
pub mod linnworks;
pub mod netsuite;
#[cfg(test)]
mod read_only;
pub mod threepl;
mod unread;
pub mod veeqo;

use selvedge_connector::Connector;

/// Every system that we know.
pub const CONNECTORS: &[&dyn Connector] =
    &[&centra::Centra, &linnworks::Linnworks, &netsuite::NetSuite, &threepl::ThreePl, &veeqo::Veeqo];

/// The connector with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Connector> {
    CONNECTORS.iter().copied().find(|connector| connector.name() == name)
}
