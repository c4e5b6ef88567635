//! Demand of people's own.

use super::*;

#[test]
fn a_picture_never_overwrites_what_it_is_made_of() {
    let (kept, path) = folder("t.csv", "0,1,1\n");
    let link = kept.path().join("nodes.svg");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for plot in [path.as_str(), link.to_str().unwrap()] {
        let error = simulated(&["--trace", &path, "--plot", plot]).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().contains("would overwrite")), (2, true), "{error}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "0,1,1\n");
    let (_kept, manifest) = folder("a.yaml", &format!("{CLUSTER}{}", schedule("")));
    let error = simulated(&["-f", &manifest, "--plot", &manifest]).unwrap_err();
    assert!(error.to_string().ends_with("which is read; name another file"), "{error}");
}
