//! Tests of the simulated disk: what a crash keeps and drops, and what injected faults do.

use super::*;
use crate::disk::{read_file, write_file};

fn path(text: &str) -> PathBuf {
    PathBuf::from(text)
}

// A disk with the durable, empty folder `/d`.
fn with_folder(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir_all(&path("/d")).expect("a folder");
    disk.sync_dir(&path("/")).expect("it is synced");
    disk
}

#[test]
fn what_is_synced_survives_and_the_rest_may() {
    let (mut kept, mut dropped, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let disk = with_folder(seed);
        write_file(&disk, &path("/d/synced"), &[1; 10_000]).expect("it is written");
        disk.sync_dir(&path("/d")).expect("it is synced");
        write_file(&disk, &path("/d/nameless"), &[2; 10]).expect("it is written");
        let mut file = disk.create(&path("/d/loose")).expect("it is made");
        file.append(&[3; 3]).and_then(|()| file.sync()).expect("it is synced");
        disk.sync_dir(&path("/d")).expect("it is synced");
        file.append(&[3; 20_000]).expect("it is written");

        let after = disk.crash();
        assert!(read_file(&disk, &path("/d/synced")).is_err(), "the old disk is off");
        assert_eq!(after.contents(&path("/d/synced")), Some(vec![1; 10_000]));
        let loose = after.contents(&path("/d/loose")).expect("its name was synced");
        assert!(loose.starts_with(&[3; 3]), "seed {seed}");
        match loose.len() {
            20_003 if loose == vec![3; 20_003] => kept += 1,
            3 => dropped += 1,
            _ => torn += 1,
        }
    }
    assert!(kept > 10 && dropped > 10 && torn > 10, "{kept} {dropped} {torn}");
}

#[test]
fn names_that_are_not_synced_come_and_go() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..100 {
        let disk = with_folder(seed);
        write_file(&disk, &path("/d/old"), b"old").expect("it is written");
        disk.sync_dir(&path("/d")).expect("it is synced");
        write_file(&disk, &path("/d/new"), b"new").expect("it is written");
        disk.rename(&path("/d/new"), &path("/d/old")).expect("it is renamed");
        assert_eq!(disk.contents(&path("/d/old")).as_deref(), Some(&b"new"[..]));
        let after = disk.crash();
        outcomes.insert((after.contents(&path("/d/old")), after.contents(&path("/d/new"))));
        let reopened = after.kill();
        assert_eq!(reopened.contents(&path("/d/old")), after.contents(&path("/d/old")));
    }
    let [old, new] = [Some(b"old".to_vec()), Some(b"new".to_vec())];
    let expected = [(old.clone(), None), (old, new.clone()), (new, None)];
    assert_eq!(outcomes, BTreeSet::from(expected));
}

#[test]
fn a_folder_that_is_not_synced_is_lost_with_its_files() {
    let gone = (0..20).filter(|seed| {
        let disk = SimDisk::new(*seed);
        disk.create_dir_all(&path("/a/b")).expect("folders");
        write_file(&disk, &path("/a/b/file"), b"x").expect("it is written");
        disk.sync_dir(&path("/a/b")).expect("it is synced");
        disk.crash().contents(&path("/a/b/file")).is_none()
    });
    assert!((1..20).contains(&gone.count()));
}

#[test]
fn a_failed_sync_loses_pages_for_good() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = with_folder(seed);
        disk.inject(Fault::new(FaultKind::Io, |operation, _| operation == Operation::Sync).after(1).times(1));
        let mut file = disk.create(&path("/d/file")).expect("it is made");
        disk.sync_dir(&path("/d")).expect("it is synced");
        file.append(&[7; 5_000]).and_then(|()| file.sync()).expect("it is synced");
        file.append(&[7; 5_000]).expect("it is written");
        let error = file.sync().expect_err("the second sync fails");
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
        file.sync().expect("the third has nothing to do");
        assert_eq!(disk.contents(&path("/d/file")), Some(vec![7; 10_000]), "it reads as if nothing were wrong");
        let after = disk.crash().contents(&path("/d/file")).expect("it is there");
        assert!(after.starts_with(&[7; 5_000]));
        lost += usize::from(after != vec![7; 10_000]);
    }
    assert!((20..50).contains(&lost), "{lost}");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = with_folder(1);
    disk.set_capacity(10);
    let mut file = disk.create(&path("/d/file")).expect("it is made");
    file.append(&[1; 6]).expect("it fits");
    assert_eq!(disk.free_space(&path("/d")).expect("it is known"), 4);
    assert_eq!(file.append(&[2; 6]).map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
    assert_eq!(disk.contents(&path("/d/file")), Some(vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2]));
}

#[test]
fn locks_are_held_once_and_freed() {
    let disk = with_folder(1);
    let held = disk.lock(&path("/d/lock")).expect("it is free");
    assert_eq!(disk.lock(&path("/d/lock")).err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    drop(held);
    let _held = disk.lock(&path("/d/lock")).expect("it is free again");
    disk.kill().lock(&path("/d/lock")).expect("a dead process holds no lock");
}
