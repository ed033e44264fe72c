//! stub
#![allow(missing_docs)]
use crate::data::ItemSeed;
use crate::mischief::Mischief;
use std::path::PathBuf;
use std::sync::Arc;
#[derive(Clone, Debug, Default)]
pub struct Options {}
#[derive(Clone, Debug, Default)]
pub struct Access {
    pub account: String,
    pub client_id: String,
    pub certificate_id: String,
    pub private_key_pem: String,
    pub consumer_key: String,
    pub consumer_secret: String,
    pub token_id: String,
    pub token_secret: String,
}
pub struct NetSuite {
    pub router: axum::Router,
    pub access: Access,
}
impl NetSuite {
    pub fn documents_csv(&self) -> String {
        String::new()
    }
    pub fn document_count(&self) -> usize {
        0
    }
    pub fn calls(&self) -> u64 {
        0
    }
}
pub async fn build(
    _: Options,
    _: Vec<ItemSeed>,
    _: Arc<Mischief>,
    _: Option<PathBuf>,
) -> anyhow::Result<NetSuite> {
    Ok(NetSuite {
        router: axum::Router::new(),
        access: Access::default(),
    })
}
