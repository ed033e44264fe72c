//! What somebody does in a world on purpose, one thing at a time: a system is down, a token expires, a shopper buys just this, a
//! warehouse stops working. Meant for whoever has to show what becomes of exactly that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, extract::Request};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Admin;
use crate::centra::PaidTwice;

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// A shopper buys one unit of an item in a market (Centra's id). Answers `{"order": number}`.
    Buy {
        /// SKU.
        sku: String,
        /// Centra's id of the market.
        market: i32,
    },
    /// Somebody switches an item of NetSuite off, or on again.
    SwitchItem {
        /// SKU.
        sku: String,
        /// Whether it is inactive.
        off: bool,
    },
    /// NetSuite answers nobody, or answers again.
    Outage {
        /// Whether it is down.
        on: bool,
    },
    /// Centra's API token expires, and somebody makes another one. Answers `{"token": …}`.
    ExpireToken,
    /// Nobody enters the tracking numbers of what leaves Linnworks, or the missing ones are entered.
    WithholdTracking {
        /// Whether they are withheld.
        on: bool,
    },
    /// The warehouse that exchanges files stops working, or goes on.
    StopDepot {
        /// Whether it has stopped.
        on: bool,
    },
    /// A return is paid back twice. Answers what was, as [`Act::ReverseRefund`] takes it.
    RefundTwice,
    /// The provider takes back what it paid once too often.
    ReverseRefund {
        /// What [`Act::RefundTwice`] answered.
        paid: PaidTwice,
    },
    /// Somebody gives the taxes of an order's document in NetSuite the code of another rate. Answers what was done.
    Retax {
        /// The order's number.
        order: String,
    },
    /// Somebody sets that right again.
    TaxRight {
        /// The order's number.
        order: String,
    },
    /// Somebody deletes a document in NetSuite. Answers `{"deleted": …}`.
    Delete {
        /// Its internal id.
        id: u32,
    },
}

/// Whether a system is down.
#[derive(Clone, Debug, Default)]
pub(super) struct Down(Arc<AtomicBool>);

impl Down {
    /// The routes of a system, behind a gateway that says so while it is down.
    pub(super) fn before(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), gateway))
    }
}

async fn gateway(Shared(down): Shared<Down>, request: Request, next: Next) -> Response {
    if down.0.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "<html><body>Service temporarily unavailable</body></html>").into_response();
    }
    next.run(request).await
}

fn refused(why: impl ToString) -> (StatusCode, String) {
    (StatusCode::CONFLICT, why.to_string())
}

fn perform(admin: &Admin, act: Act) -> Result<Value, (StatusCode, String)> {
    Ok(match act {
        Act::Buy { sku, market } => {
            let bought = admin.centra.try_buy(market, &[(&sku, 1)], admin.centra.now());
            json!({ "order": bought.map_err(|why| refused(format!("{why:?}")))? })
        }
        Act::SwitchItem { sku, off } => {
            let found = admin.netsuite.edit_item(&sku, "isInactive", &json!(off)).map_err(refused)?;
            if !found {
                return Err(refused(format!("there is no item {sku}")));
            }
            Value::Null
        }
        Act::Outage { on } => {
            admin.down.0.store(on, Ordering::Relaxed);
            Value::Null
        }
        Act::ExpireToken => {
            admin.centra.expire_token().map_err(refused)?;
            json!({ "token": admin.centra.token() })
        }
        Act::WithholdTracking { on } => {
            let there = admin.warehouses.linnworks.as_ref().ok_or_else(|| refused("there is no Linnworks"))?;
            there.withhold_tracking(on);
            Value::Null
        }
        Act::StopDepot { on } => {
            let there = admin.warehouses.threepl.as_ref().ok_or_else(|| refused("there is no warehouse that exchanges files"))?;
            there.stop_work(on);
            Value::Null
        }
        Act::RefundTwice => {
            let paid = admin.centra.refund_twice().map_err(refused)?;
            json!(paid.ok_or_else(|| refused("no order will do"))?)
        }
        Act::ReverseRefund { paid } => {
            admin.centra.reverse_refund(&paid).map_err(refused)?;
            Value::Null
        }
        Act::Retax { order } => {
            let done = admin.netsuite.retax(&order).map_err(refused)?;
            json!({ "done": done.ok_or_else(|| refused(format!("order {order} does not stand, or has no tax")))? })
        }
        Act::TaxRight { order } => json!({ "done": admin.netsuite.tax_right(&order).map_err(refused)? }),
        Act::Delete { id } => json!({ "deleted": admin.netsuite.behind().delete_by_id(id).map_err(refused)? }),
    })
}

/// `POST /act`: `{"act": "outage", "on": true}`.
pub(super) async fn act(Shared(admin): Shared<Admin>, Json(act): Json<Act>) -> Result<Json<Value>, (StatusCode, String)> {
    tokio::task::spawn_blocking(move || perform(&admin, act)).await.map_err(refused)?.map(Json)
}
