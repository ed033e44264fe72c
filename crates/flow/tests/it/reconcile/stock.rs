//! Figures that are read at two instants while the world goes on.

use selvedge_connector::{LevelPage, Priority, StockSource, Wanted as Asked};
use selvedge_model::{Kit, LocationId, StockLevel, reconcile::Why, statement::Stage};

use super::*;

/// Items and how many are shown of each.
type Reading = Vec<(&'static str, i64)>;

/// What a place shows, reading by reading; the last one stays.
#[derive(Clone)]
struct Shelf(Arc<Mutex<Vec<Reading>>>, Arc<ManualClock>);

#[async_trait]
impl StockSource for Shelf {
    async fn levels(
        &self,
        wanted: Asked<'_>,
        places: &[LocationId],
        _page: Option<&Cursor>,
        _priority: Priority,
    ) -> Result<LevelPage, Fault> {
        let mut readings = self.0.lock().unwrap();
        let shown = if readings.len() > 1 { readings.remove(0) } else { readings[0].clone() };
        let level = |(sku, units): &(&str, i64)| StockLevel {
            sku: Sku::new(*sku),
            location: places[0].clone(),
            item: ExternalId::new(format!("i-{sku}")),
            as_of: selvedge_connector::Clock::now(self.1.as_ref()),
            changed_at: None,
            on_hand: *units,
            committed: 0,
            back_ordered: 0,
            pending_approval: 0,
            available: *units,
            incoming: 0,
            active: true,
            unit_value: None,
            categories: Vec::new(),
        };
        let asked = |level: &StockLevel| match wanted {
            Asked::Items(items) => items.contains(&level.item),
            _ => true,
        };
        Ok(LevelPage { levels: shown.iter().map(level).filter(asked).collect(), unread: Vec::new(), next: None })
    }

    fn items_max(&self) -> usize {
        2
    }

    async fn kits(&self) -> Result<Vec<Kit>, Fault> {
        Ok(Vec::new())
    }

    fn commit_lag(&self) -> Duration {
        Duration::ZERO
    }
}

/// What is open after a look at stock: item and reason.
async fn open(books: Vec<Reading>, shop: Vec<Reading>, placed: &[Entry], arrived: &[Entry]) -> (Vec<(String, Why)>, bool) {
    let ends = Ends::of(placed, arrived);
    let store = memory().await;
    let stocked = |name: &'static str, end: &End, readings| {
        let session = Session::new(SessionConfig::named(name), ends.clock.clone());
        let shelf = Shelf(Arc::new(Mutex::new(readings)), ends.clock.clone());
        let connection = Connection {
            statements: Some(Arc::new(end.clone())),
            stock_source: Some(Arc::new(shelf)),
            ..Connection::empty(name, session)
        };
        (ConnectionName::from(name), connection)
    };
    let connections = BTreeMap::from([stocked("shop", &ends.shop, shop), stocked("books", &ends.books, books)]);
    let stock = PairSetup {
        name: "stock".to_owned(),
        sources: vec![ConnectionName::from("books")],
        target: ConnectionName::from("shop"),
        kinds: vec![Kind::Stock],
        places: BTreeMap::from([(LocationId::new("1"), LocationId::new("10"))]),
        ..pair()
    };
    let reconciler = Reconciler::new(brand(), store.clone(), ends.clock.clone(), connections, vec![pair(), stock]);
    let stock = reconciler.pairs.iter().find(|pair| pair.name == "stock").unwrap();
    let id = reconciler.look(stock, "demand", &whole()).await.unwrap().unwrap();
    let rows = differences(&store, false).await.into_iter().map(|row| {
        let sku = row.found.subject.split(' ').next().unwrap_or_default().to_owned();
        (sku, row.found.why)
    });
    let rows = rows.collect();
    (rows, told(&store, id).await.2)
}

#[tokio::test]
async fn a_gap_that_moves_between_two_looks_is_no_foreign_figure_and_one_that_stays_is() {
    let books = vec![vec![("COAT", 9), ("HAT", 5), ("SOCK", 4)], vec![("COAT", 8), ("HAT", 5)]];
    let shop = vec![vec![("COAT", 8), ("HAT", 3), ("SOCK", 4)], vec![("COAT", 8), ("HAT", 3)]];
    assert_eq!(open(books, shop, &[], &[]).await, (vec![("HAT".to_owned(), Why::ForeignStock)], true));
    // One item sold on both sides meanwhile: the figures moved, the gap did not.
    let books = vec![vec![("COAT", 9)], vec![("COAT", 8)]];
    let shop = vec![vec![("COAT", 7)], vec![("COAT", 6)]];
    assert_eq!(open(books, shop, &[], &[]).await.0, [("COAT".to_owned(), Why::ForeignStock)]);
}

#[tokio::test]
async fn what_orders_on_their_way_promise_explains_a_gap_and_no_larger_one() {
    let look = async |shown: i64, placed: &[Entry], arrived: &[Entry]| {
        open(vec![vec![("COAT", 9)]], vec![vec![("COAT", shown)]], placed, arrived).await.0.len()
    };
    let lately = document(1042, 2, 10 * DAY - 600);
    let old = document(1042, 2, 9 * DAY);
    let arrived = there(&lately, "N1", 60);
    let called_off = Entry { stage: Stage::Void, ..lately.clone() };
    assert_eq!(look(7, std::slice::from_ref(&lately), &[]).await, 0, "both units are promised");
    assert_eq!(look(8, std::slice::from_ref(&lately), &[]).await, 0, "one of them is known already");
    assert_eq!(look(6, std::slice::from_ref(&lately), &[]).await, 1, "one more than is promised");
    assert_eq!(look(10, std::slice::from_ref(&lately), &[]).await, 1, "more than there is, no order explains");
    assert_eq!(look(7, &[lately], &[arrived]).await, 1, "it stands in the books");
    assert_eq!(look(7, &[old], &[]).await, 1, "it is on its way for longer than allowed: the orders tell of it");
    assert_eq!(look(7, &[called_off], &[]).await, 1);
}
