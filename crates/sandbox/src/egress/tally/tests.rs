//! The arithmetic of counting ahead, and what the file holds after a kill. Connections are elsewhere.

use super::*;

const MOST: u64 = 10 * STEP;

struct Scene {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passed");
        Self { _folder: folder, path }
    }

    fn written(&self) -> Vec<(u64, u64, u64)> {
        Tally::read(&self.path).unwrap().iter().map(|one| (one.key, one.up, one.down)).collect()
    }

    /// Goes on as the one who comes after a kill does.
    fn taken_up(&self, most_sent: u64) -> Tally {
        let read = Tally::read(&self.path).unwrap();
        Tally::new(self.path.clone(), &read, read.iter().map(|one| one.up).sum(), most_sent)
    }
}

#[test]
fn what_is_written_is_ahead_of_what_passed_by_a_step_at_most_and_never_beyond_what_may() {
    let scene = Scene::new();
    assert_eq!(scene.written(), []);
    let count = scene.taken_up(u64::MAX).count(7, 0, 0).unwrap();
    assert_eq!(scene.written(), [(7, 0, 0)]);
    let mut passed = 0;
    for bytes in [0, 1, 300, STEP - 301, 1, STEP, 3 * STEP + 5, 17, STEP / 2] {
        count.pass_up(bytes, MOST).unwrap();
        passed += bytes;
        let (_, up, down) = scene.written()[0];
        assert!(up >= passed && up - passed <= STEP && down == 0, "{passed} {up} {down}");
    }
    count.pass_up(MOST - passed, MOST).unwrap();
    assert_eq!((count.passed(), scene.written()), ((MOST, 0), vec![(7, MOST, 0)]));
    let refused = count.pass_up(1, MOST).unwrap_err();
    assert_eq!((&*refused.rule, count.passed()), ("egress.bytes", (MOST, 0)), "what is refused is not counted");
    count.pass_down(5, MOST).unwrap();
    assert_eq!(scene.written(), [(7, MOST, 5 + STEP)]);
    count.settle();
    assert_eq!(scene.written(), [(7, MOST, 5)], "nothing passes: what is written is what passed");
    count.pass_down(1, MOST).unwrap();
    assert_eq!(scene.written(), [(7, MOST, 6 + STEP)]);
}

#[test]
fn a_few_small_requests_are_one_write() {
    let scene = Scene::new();
    let count = scene.taken_up(u64::MAX).count(1, 0, 0).unwrap();
    count.pass_up(100, MOST).unwrap();
    let first = scene.written();
    (0..100).for_each(|_| count.pass_up(100, MOST).unwrap());
    assert_eq!((scene.written(), count.passed()), (first, (10_100, 0)));
}

#[test]
fn whoever_comes_after_a_kill_finds_each_place_where_it_was_and_adds_others() {
    let scene = Scene::new();
    let mut tally = scene.taken_up(u64::MAX);
    tally.count(3, 10, 20).unwrap().pass_up(5, MOST).unwrap();
    tally.count(9, 1, 2).unwrap().pass_down(5, MOST).unwrap();
    drop(tally);
    assert_eq!(scene.written(), [(3, 15 + STEP, 20), (9, 1, 7 + STEP)]);
    let mut tally = scene.taken_up(u64::MAX);
    let again = tally.count(9, 1, 7 + STEP).unwrap();
    tally.count(4, 0, 0).unwrap();
    again.pass_up(1, MOST).unwrap();
    assert_eq!(scene.written(), [(3, 15 + STEP, 20), (9, 2 + STEP, 7 + STEP), (4, 0, 0)]);
}

#[test]
fn kills_without_end_cost_a_step_each_and_let_no_more_through() {
    let scene = Scene::new();
    let (mut passed, mut kills) = (0, 0);
    loop {
        let read = scene.written().first().copied().unwrap_or((1, 0, 0));
        let count = scene.taken_up(u64::MAX).count(1, read.1, read.2).unwrap();
        match count.pass_up(STEP + 1, MOST) {
            Ok(()) => passed += STEP + 1,
            Err(refused) => {
                assert_eq!(refused.rule, "egress.bytes");
                break;
            }
        }
        kills += 1;
    }
    assert!(passed <= MOST && passed + kills * STEP + STEP >= MOST, "{passed} bytes passed over {kills} kills");
}

#[test]
fn what_a_task_sends_to_all_places_together_is_counted_too() {
    let scene = Scene::new();
    let mut tally = scene.taken_up(100);
    let (one, other) = (tally.count(1, 0, 0).unwrap(), tally.count(2, 0, 0).unwrap());
    one.pass_up(60, MOST).unwrap();
    other.pass_up(41, MOST).unwrap_err();
    other.pass_down(1_000, MOST).unwrap();
    // What the place itself refuses is not sent.
    other.pass_up(30, 20).unwrap_err();
    other.pass_up(40, MOST).unwrap();
    one.pass_up(1, MOST).unwrap_err();
    assert_eq!((one.passed(), other.passed()), ((60, 0), (40, 1_000)));
}

#[test]
fn many_at_once_never_pass_more_than_is_written_nor_than_may() {
    let scene = Scene::new();
    let mut tally = scene.taken_up(u64::MAX);
    let count = tally.count(1, 0, 0).unwrap();
    std::thread::scope(|scope| {
        for bytes in [1_000, 7_777, 64_000, 131_072] {
            let (count, scene) = (&count, &scene);
            scope.spawn(move || {
                let (mut own, kept) = (0, count.kept.as_ref().unwrap());
                while count.pass_up(bytes, MOST).is_ok() {
                    own += bytes;
                    if own % 3 == 0 {
                        count.settle();
                    }
                    let _writing = kept.hold();
                    assert!(scene.written()[0].1 >= own);
                }
            });
        }
    });
    count.settle();
    let (passed, _) = count.passed();
    assert!(passed <= MOST && MOST - passed < 1_000);
    assert_eq!(scene.written()[0].1, passed);
}

#[test]
fn a_file_of_another_form_is_refused_and_a_torn_one_read_as_far_as_it_goes() {
    let scene = Scene::new();
    scene.taken_up(u64::MAX).count(5, 6, 7).unwrap();
    let whole = std::fs::read(&scene.path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&scene.path, &whole[..length]).unwrap();
        assert_eq!(
            Tally::read(&scene.path).is_ok_and(|read| read.is_empty()),
            length == 0 || length >= SLOT,
            "{length}"
        );
    }
    std::fs::write(&scene.path, [0; 64]).unwrap();
    assert_eq!(scene.written(), []);
    std::fs::write(&scene.path, b"something else, of later versions").unwrap();
    assert!(Tally::read(&scene.path).unwrap_err().to_string().contains("another version"));
}

#[test]
fn a_grant_that_follows_another_goes_on_with_its_count() {
    let scene = Scene::new();
    let count = scene.taken_up(u64::MAX).count(1, 0, 0).unwrap();
    let holds = std::time::Duration::from_secs(3_600);
    let ceilings = crate::egress::Ceilings { bytes_up: 100, bytes_down: 100, connections: 1, holds };
    let grant = |id| crate::egress::Grant::new(id, None, ceilings).counting(Arc::clone(&count));
    let first = grant(1);
    first.pass_up(90).unwrap();
    first.end(Refusal::new("egress.revoked", "taken back"));
    assert_eq!(first.pass_up(1).unwrap_err().rule, "egress.revoked");
    first.leave(1);
    assert_eq!(
        scene.written(),
        [(1, 90, 0)],
        "settled with the last connection, and nothing counted of what was refused"
    );
    let second = grant(2);
    second.pass_up(10).unwrap();
    assert_eq!(second.pass_up(1).unwrap_err().rule, "egress.bytes");
    assert_eq!(second.ended().unwrap().rule, "egress.bytes");
}
