//! A directory whose files come, change, break and go.

use std::fs;

use super::*;

const GOOD: &str = "title: Mine\npanels:\n  - {title: P, type: text, text: x}\n";

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sextant-shelf-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory of its own");
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), text).expect("a file of its own");
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn told(shelf: &Shelf, name: &str) -> Option<(Option<String>, bool)> {
    let entry = shelf.entries().iter().find(|entry| entry.name == name)?;
    Some((entry.board.as_ref().map(|board| board.title.clone()), entry.error.is_some()))
}

#[test]
fn files_are_read_again_when_they_change() {
    let directory = Directory::new("change");
    let mut shelf = Shelf::new(Some(directory.0.clone()));
    let title = |title: &str| Some(title.to_owned());
    assert_eq!(shelf.entries().len(), SHIPPED.len());
    assert!(!shelf.refresh());

    directory.write("mine.yaml", GOOD);
    directory.write("notes.txt", "no board");
    assert!(shelf.refresh());
    assert_eq!(told(&shelf, "mine"), Some((title("Mine"), false)));
    assert_eq!(shelf.entries().len(), SHIPPED.len() + 1);
    assert!(!shelf.refresh());

    directory.write("mine.yaml", format!("colour: red\n{GOOD}"));
    assert!(shelf.refresh());
    assert_eq!(told(&shelf, "mine"), Some((title("Mine"), true)));
    let error = shelf.entries().iter().find_map(|entry| entry.error.clone()).expect("its error");
    assert!(error.to_string().contains("mine.yaml:1:1: unknown key `colour`"), "{error}");

    directory.write("mine.yaml", GOOD.replace("Mine", "Better"));
    assert!(shelf.refresh());
    assert_eq!(told(&shelf, "mine"), Some((title("Better"), false)));

    fs::remove_file(directory.0.join("mine.yaml")).expect("it is there");
    assert!(shelf.refresh());
    assert_eq!(told(&shelf, "mine"), None);
}

#[test]
fn a_file_takes_the_place_of_a_shipped_board_and_gives_it_back() {
    let directory = Directory::new("replace");
    let mut shelf = Shelf::new(Some(directory.0.clone()));
    let before = told(&shelf, "demo");
    directory.write("demo.yml", GOOD);
    directory.write("bytes.yaml", [0xff, 0xfe]);
    assert!(shelf.refresh());
    assert_eq!(told(&shelf, "demo"), Some((Some("Mine".to_owned()), false)));
    assert_eq!(told(&shelf, "bytes"), Some((None, true)));
    fs::remove_file(directory.0.join("demo.yml")).expect("it is there");
    assert!(shelf.refresh());
    assert_eq!(told(&shelf, "demo"), before);
}

#[test]
fn a_directory_that_is_not_there_is_told_and_may_come() {
    let directory = Directory::new("away");
    let path = directory.0.join("later");
    let mut shelf = Shelf::new(Some(path.clone()));
    assert!(shelf.refresh());
    assert!(shelf.complaint().is_some_and(|error| error.to_string().contains("--dashboards")));
    assert!(!shelf.refresh());
    fs::create_dir(&path).expect("a directory");
    assert!(shelf.refresh());
    assert_eq!((shelf.complaint(), shelf.entries().len()), (None, SHIPPED.len()));
}
