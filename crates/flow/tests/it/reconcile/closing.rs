//! What becomes of a difference, and when it is looked at.

use selvedge_flow::reconcile::Looked;
use selvedge_model::{DifferenceId, reconcile::Why, statement::Stage};

use super::{worlds::every_fate, *};

#[tokio::test]
async fn a_difference_is_closed_by_agreement_alone_and_comes_again_as_another() {
    let ours = document(1042, 2, 5 * DAY);
    let same = there(&ours, "N1", 60);
    let ends = Ends::of(std::slice::from_ref(&ours), &[dearer(&same, 500)]);
    let store = memory().await;
    let red = ends.look(&store, &whole()).await;
    let first = differences(&store, false).await;
    assert_eq!(first.len(), 1, "{first:?}");
    let open = |rows: &[DifferenceRow]| rows.iter().map(|row| row.id).collect::<Vec<DifferenceId>>();

    // Mended, and looked at elsewhere.
    ends.books.say(std::slice::from_ref(&same));
    ends.look(&store, &Interval { from: at(6 * DAY), to: at(10 * DAY) }).await;
    assert_eq!(open(&differences(&store, false).await), [first[0].id], "a window without it proves nothing");

    // Not mended, and on its way once more: nobody has seen it agree.
    ends.books.say(&[dearer(&same, 500)]);
    ends.shop.say(&[Entry { updated_at: Some(at(10 * DAY - 60)), ..ours.clone() }]);
    ends.look(&store, &whole()).await;
    assert_eq!(open(&differences(&store, false).await), [first[0].id], "in flight is not agreed");

    // There, and not to be read: nobody has seen it agree.
    ends.shop.say(&[]);
    ends.shop.0.lock().unwrap().unread = vec![ours.id.clone()];
    let unread = ends.look(&store, &whole()).await;
    assert!(!told(&store, unread).await.2, "the window stays open");
    assert!(open(&differences(&store, false).await).contains(&first[0].id), "what cannot be read proves nothing");
    ends.shop.0.lock().unwrap().unread.clear();

    ends.shop.say(std::slice::from_ref(&ours));
    ends.books.say(std::slice::from_ref(&same));
    let green = ends.look(&store, &whole()).await;
    assert!(differences(&store, false).await.is_empty());
    let closed = differences(&store, true).await.into_iter().find(|row| row.id == first[0].id).unwrap();
    assert!(closed.closed.unwrap().1.contains(&green.to_string()), "it names the look that saw it");
    assert_eq!((told(&store, red).await.1, told(&store, green).await.1), (1, 0), "a green look makes no red one green");

    ends.books.say(&[dearer(&same, 500)]);
    let again = ends.look(&store, &whole()).await;
    let anew = differences(&store, false).await;
    assert_eq!((anew.len(), anew[0].first_run), (1, again));
    assert_ne!(anew[0].id, first[0].id, "a new row beside the old one");
    assert!(differences(&store, true).await.len() >= 2);
}

#[tokio::test]
async fn a_turn_looks_when_it_is_time_and_tells_what_could_not_be_read() {
    let (shop, books) = every_fate();
    let ends = Ends::of(&shop, &books);
    let store = memory().await;
    let timed = PairSetup { every: Some(Duration::from_secs(86_400)), ..pair() };
    let reconciler = ends.reconciler(&store, timed);
    let looks = async || store.read(|view| view.reconciliations(&brand(), None, 10)).await.unwrap();

    ends.shop.0.lock().unwrap().fails_at = Some(2);
    let mut last = Looked::UnderWay;
    while last == Looked::UnderWay {
        last = reconciler.turn().await.unwrap();
    }
    assert!(matches!(last, Looked::Failed(_)), "{last:?}");
    let broken = looks().await;
    assert_eq!((broken.len(), broken[0].finished_at, broken[0].balanced), (1, None, None), "it is not done");
    assert_eq!(reconciler.turn().await.unwrap(), Looked::Idle, "it rests after a fault");

    ends.clock.advance(Duration::from_secs(30));
    last = Looked::UnderWay;
    while last == Looked::UnderWay {
        last = reconciler.turn().await.unwrap();
    }
    assert_eq!(last, Looked::Done(broken[0].id), "the same look, over the same window");
    let calls = ends.shop.calls() + ends.books.calls();
    for _ in 0..3 {
        assert_eq!(reconciler.turn().await.unwrap(), Looked::Idle);
        ends.clock.advance(Duration::from_secs(8 * 3_600 - 1));
    }
    assert_eq!(ends.shop.calls() + ends.books.calls(), calls, "nothing is asked before it is time");
    ends.clock.advance(Duration::from_secs(3));
    assert_eq!(reconciler.turn().await.unwrap(), Looked::UnderWay);
    assert_eq!(looks().await.len(), 2);

    // An end that never comes to an end proves nothing.
    ends.books.0.lock().unwrap().turns_in_circles = true;
    let endless = reconciler.look(&reconciler.pairs[0], "demand", &whole()).await.unwrap();
    assert!(endless.unwrap_err().contains("the next page is this page"));
}

async fn until_idle(reconciler: &Reconciler) -> u32 {
    let mut done = 0;
    loop {
        match reconciler.turn().await.unwrap() {
            Looked::Idle => return done,
            Looked::UnderWay => {}
            Looked::Done(_) => done += 1,
            Looked::Failed(why) => panic!("{why}"),
        }
    }
}

#[tokio::test]
async fn what_is_settled_long_after_it_came_to_be_is_judged_by_the_far_look() {
    // A preorder, an order that is cheaper in the books, and one that came late.
    let preorder = Entry { stage: Stage::Pending, ..document(1, 1, 5 * DAY) };
    let (dear, slow) = (document(2, 2, 5 * DAY), document(3, 1, 5 * DAY));
    let books = [dearer(&there(&dear, "N2", 60), 500), there(&slow, "N3", 9 * HOUR)];
    let ends = Ends::of(&[preorder.clone(), dear.clone(), slow.clone()], &books);
    let store = memory().await;
    let day = Duration::from_secs(86_400);
    let timed = PairSetup { every: Some(day), far_every: Some(20 * day), ..pair() };
    let reconciler = ends.reconciler(&store, timed);
    let open = async || differences(&store, false).await.iter().map(|row| row.found.why).collect::<Vec<_>>();

    assert_eq!(until_idle(&reconciler).await, 1, "what was before us is not looked at far back at once");
    assert_eq!(open().await, [Why::EditedAmount, Why::Late]);

    // Ten days on, all of it lies behind the usual window.
    ends.clock.advance(10 * day);
    ends.shop.say(&[Entry { stage: Stage::Standing, ..preorder.clone() }, dear.clone(), slow.clone()]);
    ends.books.say(&[there(&dear, "N2", 60), there(&slow, "N3", 9 * HOUR)]);
    assert_eq!(until_idle(&reconciler).await, 1);
    assert_eq!(open().await, [Why::EditedAmount], "what came late is history; what was mended nobody has seen");

    ends.clock.advance(11 * day);
    assert_eq!(until_idle(&reconciler).await, 2, "the usual look and the far one");
    assert_eq!(open().await, [Why::NeverArrived], "the preorder is due now; the mended one was seen to agree");
    assert_eq!(until_idle(&reconciler).await, 0);
    ends.clock.advance(day);
    assert_eq!(until_idle(&reconciler).await, 1, "the far one rests");
    assert_eq!(open().await, [Why::NeverArrived]);
}

#[tokio::test]
async fn a_look_that_a_person_asks_for_comes_at_once_sees_what_was_mended_and_reaches_back_to_it() {
    let ours = document(1042, 2, 5 * DAY);
    let same = there(&ours, "N1", 60);
    let ends = Ends::of(std::slice::from_ref(&ours), &[dearer(&same, 500)]);
    let store = memory().await;
    let reconciler = ends.reconciler(&store, PairSetup { every: Some(Duration::from_secs(90 * 86_400)), ..pair() });
    assert_eq!(until_idle(&reconciler).await, 1);
    let open = differences(&store, false).await;
    let exception = open[0].found.exception.unwrap();
    let actions =
        selvedge_flow::actions::Actions { store: store.clone(), brand: brand(), clock: ends.clock.clone(), actor: "anna".into() };
    assert!(actions.look_again(exception, "nowhere", &reconciler).await.is_err(), "ends that nobody compares");

    // A month later it lies far behind the window of the timer.
    ends.clock.advance(Duration::from_secs(30 * 86_400));
    assert_eq!(until_idle(&reconciler).await, 0, "it is not time");
    actions.look_again(exception, "shop-books", &reconciler).await.unwrap();
    assert!(reconciler.is_asked("shop-books"));
    assert_eq!(until_idle(&reconciler).await, 1);
    assert!(!reconciler.is_asked("shop-books"));
    assert_eq!(differences(&store, false).await[0].id, open[0].id, "it is not mended");

    // The first try does not come through: nothing goes on by itself, and the next one begins anew.
    ends.books.0.lock().unwrap().fails_at = Some(ends.books.calls() + 1);
    actions.look_again(exception, "shop-books", &reconciler).await.unwrap();
    let mut last = Looked::UnderWay;
    while last == Looked::UnderWay {
        last = reconciler.turn().await.unwrap();
    }
    assert!(matches!(last, Looked::Failed(_)), "{last:?}");
    assert_eq!((until_idle(&reconciler).await, reconciler.is_asked("shop-books")), (0, false));
    let history = store.read(move |view| view.exception_events(exception, 10)).await.unwrap();
    let told: Vec<&str> = history
        .iter()
        .filter(|event| event.kind == selvedge_store::events::EventKind::LookedAgain)
        .map(|event| event.detail.as_str())
        .collect();
    assert!(told.len() == 2 && told.contains(&"Both ends were read, and were not seen to agree."), "{told:?}");
    assert!(told.iter().any(|said| said.starts_with("Both ends could not be read: shop and books: ")), "{told:?}");
    ends.books.say(std::slice::from_ref(&same));
    ends.clock.advance(Duration::from_secs(60));
    actions.look_again(exception, "shop-books", &reconciler).await.unwrap();
    assert_eq!(until_idle(&reconciler).await, 1);
    assert!(differences(&store, false).await.is_empty());
    let audit = store.read(|view| view.audit_rows(&brand(), 10)).await.unwrap();
    assert_eq!(audit.iter().filter(|row| row.action == "exception.look" && row.actor == "anna").count(), 3);
}

#[tokio::test]
async fn a_timers_look_that_takes_days_is_begun_anew() {
    let (shop, books) = every_fate();
    let ends = Ends::of(&shop, &books);
    let store = memory().await;
    let reconciler = ends.reconciler(&store, PairSetup { every: Some(Duration::from_secs(86_400)), ..pair() });
    assert_eq!(reconciler.turn().await.unwrap(), Looked::UnderWay);
    ends.clock.advance(Duration::from_secs(3 * 86_400));
    let calls = ends.books.calls();
    assert_eq!(until_idle(&reconciler).await, 1);
    assert!(ends.books.calls() > calls && ends.books.0.lock().unwrap().entries.len() > PAGE);
    let looks = store.read(|view| view.reconciliations(&brand(), None, 10)).await.unwrap();
    assert_eq!(looks.iter().filter(|look| look.told.is_some()).count(), 1, "{looks:?}");
    assert_eq!(looks.len(), 2, "the old one is not gone on with");
}

#[tokio::test]
async fn what_could_not_be_compared_is_not_seen_to_agree_and_what_is_told_otherwise_has_not_come_to() {
    let bought = Entry { buyer: Some("anna@example.com".to_owned()), ..document(7, 2, 5 * DAY) };
    let booked = Entry { buyer: Some("other@example.com".to_owned()), ..there(&bought, "N7", 60) };
    let ends = Ends::of(std::slice::from_ref(&bought), std::slice::from_ref(&booked));
    let store = memory().await;
    ends.look(&store, &whole()).await;
    let first = differences(&store, false).await;
    assert_eq!((first.len(), first[0].found.path.as_str()), (1, "buyer"));

    // The role may not see buyers any more.
    ends.books.say(&[Entry { buyer: None, ..booked.clone() }]);
    ends.look(&store, &whole()).await;
    assert_eq!(differences(&store, false).await[0].id, first[0].id, "nobody has compared it");

    // The buyer is mended, and somebody changed the amount.
    ends.books.say(&[dearer(&there(&bought, "N7", 60), 500)]);
    let look = ends.look(&store, &whole()).await;
    let open = differences(&store, false).await;
    assert_eq!((open.len(), open[0].found.why), (1, Why::EditedAmount), "{open:?}");
    let closed = differences(&store, true).await.into_iter().find(|row| row.id == first[0].id).unwrap().closed.unwrap().1;
    assert!(closed.contains(&look.to_string()) && !closed.contains("agreed"), "{closed}");
}

#[tokio::test]
async fn every_document_that_cannot_be_read_is_counted_and_too_many_prove_nothing() {
    let (shop, books) = every_fate();
    let ends = Ends::of(&shop, &books);
    let store = memory().await;
    let many = |count: usize| (0..count).map(|id| ExternalId::new(format!("x{id}"))).collect::<Vec<_>>();
    ends.books.0.lock().unwrap().unread = many(731);
    let (told, _, balanced) = told(&store, ends.look(&store, &whole()).await).await;
    assert_eq!((told.tallies.0["order"].unread, balanced), (731, false));
    ends.books.0.lock().unwrap().unread = many(10_001);
    let reconciler = ends.reconciler(&store, pair());
    let refused = reconciler.look(&reconciler.pairs[0], "audit", &whole()).await.unwrap().unwrap_err();
    assert!(refused.contains("more than 10000") && refused.contains("no sense in it"), "{refused}");
}
