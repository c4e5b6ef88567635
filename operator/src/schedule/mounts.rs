//! Whether a schedule's volumes leave those alone that its pods are given in any case. The rest is the API server's to say.

use std::path::Path;

use crds::Scorer;

use crate::run::{PATHS, VOLUMES};

/// Looks for names and paths that are taken.
///
/// # Errors
/// The first that is: a sentence that names the field and says what to do.
pub(super) fn check(scorer: &Scorer) -> Result<(), String> {
    let names = scorer.volumes.iter().map(|volume| ("volumes", &volume.name));
    let mounts = || scorer.volume_mounts.iter().enumerate();
    let mounted = mounts().map(|(_, mount)| ("volumeMounts", &mount.name));
    if let Some((field, name)) = names.chain(mounted).find(|(_, name)| VOLUMES.contains(&name.as_str())) {
        return Err(format!("scorer.{field}: the name {name} is that of a volume of the operator; take another"));
    }
    for (at, mount) in mounts() {
        if let Some(path) = taken(Path::new(&mount.mount_path)) {
            return Err(format!(
                "scorer.volumeMounts[{at}].mountPath: {} is in the way of {path}, which the operator gives to its pods; take \
                 another path, such as /mnt/store",
                mount.mount_path
            ));
        }
    }
    Ok(())
}

/// Which path of the operator's a mount would hide, or cannot be made in.
fn taken(path: &Path) -> Option<&'static str> {
    // Compared by their parts, so that //tmp/ is /tmp.
    let inside = |(ours, closed): &&(&str, bool)| *closed && path.starts_with(ours);
    let hides = |(ours, _): &&(&str, bool)| Path::new(ours).starts_with(path);
    PATHS.iter().find(|ours| inside(ours) || hides(ours)).map(|(ours, _)| *ours)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(name: &str, path: &str) -> Option<String> {
        let scorer = json!({
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": name, "emptyDir": {}}],
            "volumeMounts": [{"name": "data", "mountPath": "/mnt/data"}, {"name": name, "mountPath": path}],
        });
        check(&serde_json::from_value(scorer).unwrap()).err()
    }

    #[test]
    fn a_share_of_its_own_name_and_path_is_fine() {
        for path in ["/mnt/store", "/tmp/cache", "/etc/ssl/certs", "/var/lib/share"] {
            assert_eq!(told("share", path), None, "{path}");
        }
    }

    #[test]
    fn a_name_of_the_operators_volumes_is_refused() {
        for name in VOLUMES {
            let told = told(name, "/mnt/store").unwrap();
            assert!(told.starts_with("scorer.volumes: the name ") && told.contains(name), "{told}");
        }
    }

    #[test]
    fn a_mount_that_hides_what_the_operator_gives_or_is_inside_of_it_is_refused() {
        for path in
            ["/", "/etc", "/tmp", "//tmp/", "/etc/batchscoring", "/etc/batchscoring/x", "/var/run/secrets", "/dev"]
        {
            let told = told("share", path).unwrap();
            assert!(told.starts_with("scorer.volumeMounts[1].mountPath: ") && told.contains("/mnt/store"), "{told}");
        }
    }
}
