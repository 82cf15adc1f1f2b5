use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::reference::{Expression, expression, zone_and_instant};
use super::slots;

const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// A schedule, a zone, and a stretch of time that is short enough to try all of it.
fn case() -> impl Strategy<Value = (Expression, &'static str, Timestamp, Timestamp)> {
    (any::<bool>(), zone_and_instant(), 0..1_000_000_000_i32).prop_flat_map(
        |(with_seconds, (zone, from), nanos)| {
            let length = if with_seconds { MINUTE * 150 } else { MINUTE * 60 * 24 * 4 };
            let from = from + SignedDuration::new(0, nanos);
            expression(with_seconds).prop_map(move |expression| (expression, zone, from, from + length))
        },
    )
}

proptest! {
    #[test]
    fn forwards_and_backwards_the_slots_are_those_found_by_trying(
        (expression, zone, from, until) in case(),
        listed in 0..20usize,
    ) {
        let expected: Vec<Timestamp> = expression.slots(zone, from, until).into_iter().collect();
        let slots = slots(&expression.text(), zone);

        let forwards: Vec<Timestamp> =
            std::iter::successors(slots.next_after(from), |slot| slots.next_after(*slot))
                .take_while(|slot| *slot <= until)
                .collect();
        prop_assert_eq!(&forwards, &expected, "{}", expression.text());

        let all = slots.passed(from, until, usize::MAX);
        prop_assert_eq!(all.earlier, None);
        prop_assert_eq!(&all.newest, &expected, "{}", expression.text());

        let some = slots.passed(from, until, listed);
        let (earlier, newest) = expected.split_at(expected.len().saturating_sub(listed));
        prop_assert_eq!(&some.newest, newest);
        match some.earlier {
            None => prop_assert!(earlier.is_empty()),
            Some(told) => {
                prop_assert_eq!(Some(&told.first), earlier.first());
                prop_assert_eq!(Some(&told.last), earlier.last());
                prop_assert_eq!(told.more, earlier.len() > 1000);
                prop_assert_eq!(told.count as usize, earlier.len().min(1000));
            }
        }
    }

    #[test]
    fn between_two_neighbours_there_is_nothing((expression, zone, instant, _) in case()) {
        let slots = slots(&expression.text(), zone);
        let (last, next) = (slots.last_until(instant).unwrap(), slots.next_after(instant).unwrap());
        prop_assert!(last <= instant && instant < next);
        prop_assert_eq!(slots.next_after(last), Some(next));
        prop_assert_eq!(slots.last_until(next), Some(next));
        prop_assert_eq!(slots.last_until(next - SignedDuration::from_nanos(1)), Some(last));
    }
}
