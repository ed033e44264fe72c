//! What is done to a world behind everybody's back: an incumbent that has carried everything over, and wrongness.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;

use super::{Admin, Floor, World};
use crate::incumbent::{self, Carried, Habits};
use crate::wrong::{self, Injected, Report, Wish, Wrongs};

fn inject(floor: &Floor, wrongs: &Wrongs, wish: &Wish) -> anyhow::Result<Report> {
    let Floor { centra, netsuite, catalogue, locations, .. } = floor;
    wrongs.inject(&wrong::Scene { centra, netsuite, catalogue, locations }, wish)
}

fn carry(floor: &Floor, habits: &Habits) -> anyhow::Result<Carried> {
    let Floor { centra, netsuite, catalogue, locations, .. } = floor;
    incumbent::carry(&incumbent::Scene { centra, netsuite, catalogue, locations }, habits)
}

impl World {
    /// Makes wrongness; see [`crate::wrong`]. Errors when a journal cannot be written.
    pub fn inject(&self, wish: &Wish) -> anyhow::Result<Report> {
        inject(&self.floor, &self.wrongs, wish)
    }

    /// All wrongness that was ever made here.
    pub fn injected(&self) -> Vec<Injected> {
        self.wrongs.all()
    }

    /// Lets a correct incumbent carry over whatever does not stand yet; see [`crate::incumbent`]. It is meant for a world without
    /// warehouses and without people who make returns: what those do later it does not carry. Errors when a journal cannot be written.
    pub fn finish(&self, habits: &Habits) -> anyhow::Result<Carried> {
        carry(&self.floor, habits)
    }

    /// The systems and what they are stocked with.
    #[cfg(test)]
    pub(crate) fn floor_of(&self) -> &Floor {
        &self.floor
    }
}

/// An answer, or why there is none.
type Answer<T> = Result<Json<T>, (StatusCode, String)>;

fn broken(fault: &anyhow::Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{fault:#}"))
}

/// `POST /wrong`: `{"seed": 7, "each": 3}` or `{"seed": 7, "count": {"deleted": 2}}`.
pub(super) async fn make_wrong(Shared(admin): Shared<Admin>, Json(wish): Json<Wish>) -> Answer<Report> {
    let made = tokio::task::spawn_blocking(move || inject(&admin.floor, &admin.wrongs, &wish)).await;
    made.map_err(anyhow::Error::from).and_then(|made| made).map(Json).map_err(|fault| broken(&fault))
}

/// `GET /wrong`: all that was ever made.
pub(super) async fn show_wrong(Shared(admin): Shared<Admin>) -> Json<Vec<Injected>> {
    Json(admin.wrongs.all())
}

/// `POST /incumbent`: `{"orders": 2000}`, or `{}` for all.
pub(super) async fn make_incumbent(Shared(admin): Shared<Admin>, Json(habits): Json<Habits>) -> Answer<Carried> {
    let made = tokio::task::spawn_blocking(move || carry(&admin.floor, &habits)).await;
    made.map_err(anyhow::Error::from).and_then(|made| made).map(Json).map_err(|fault| broken(&fault))
}
