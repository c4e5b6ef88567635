//! Which operation an example is of: as it says, or, where it does not say so, by its request or its file's name.

use std::path::Path;

use serde_json::Value;

const CREATE: &str = "AgentPools_CreateOrUpdate";
const GET: &str = "AgentPools_Get";
const LIST: &str = "AgentPools_List";
const DELETE: &str = "AgentPools_Delete";
const DELETE_MACHINES: &str = "AgentPools_DeleteMachines";
const ABORT: &str = "AgentPools_AbortLatestOperation";
const MACHINES: &str = "Machines_List";
const MACHINE: &str = "Machines_Get";

/// What the stand-in does.
const OURS: &[&str] = &[CREATE, GET, LIST, DELETE, DELETE_MACHINES, ABORT, MACHINES, MACHINE];

/// The beginnings of file names, letters and digits alone; the longer one first where one begins another.
const FILES: &[(&str, &str)] = &[
    ("agentpoolscreate", CREATE),
    ("agentpoolsassociate", CREATE),
    ("agentpoolsstart", CREATE),
    ("agentpoolsstop", CREATE),
    ("agentpoolsupdate", CREATE),
    ("agentpoolsgetupgradeprofile", "AgentPools_GetUpgradeProfile"),
    ("agentpoolsgetagentpoolavailableversions", "AgentPools_GetAvailableAgentPoolVersions"),
    ("agentpoolsget", GET),
    ("agentpoolslist", LIST),
    ("agentpoolsdeletemachines", DELETE_MACHINES),
    ("agentpoolsdelete", DELETE),
    ("agentpoolsabort", ABORT),
    ("agentpoolsupgradenodeimageversion", "AgentPools_UpgradeNodeImageVersion"),
    ("agentpoolscompleteupgrade", "AgentPools_CompleteUpgrade"),
    ("machinelist", MACHINES),
    ("machineslist", MACHINES),
    ("machineget", MACHINE),
    ("machinesget", MACHINE),
    ("machinecreate", "Machines_CreateOrUpdate"),
];

/// The operation, or why the example cannot be played.
pub(super) fn of(file: &Path, example: &Value) -> Result<String, String> {
    let said = example["operationId"].as_str().or_else(|| by_request(example)).or_else(|| by_file(file));
    let operation = said.or_else(|| by_parameters(example)).ok_or("nothing tells which operation it is of")?;
    if !OURS.contains(&operation) {
        return Err(format!("{operation} is not an operation of this stand-in"));
    }
    let parameters = &example["parameters"];
    let has = |lacks: bool, what: &str| if lacks { Err(format!("{operation} without {what}")) } else { Ok(()) };
    has(operation != LIST && parameters["agentPoolName"].as_str().is_none_or(str::is_empty), "agentPoolName")?;
    has(operation == CREATE && !parameters["parameters"]["properties"].is_object(), "properties to put")?;
    has(operation == DELETE_MACHINES && !parameters["machines"]["machineNames"].is_array(), "machineNames")?;
    Ok(operation.to_owned())
}

/// By method and path, where an example has them.
fn by_request(example: &Value) -> Option<&'static str> {
    let text = |keys: &[&str]| keys.iter().find_map(|key| example[*key].as_str().or(example["request"][*key].as_str()));
    let path = text(&["path", "url"])?.to_ascii_lowercase();
    let (_, below) = path.split('?').next()?.split_once("/agentpools")?;
    let below: Vec<&str> = below.split('/').skip(1).collect();
    match (text(&["method", "httpMethod"])?.to_ascii_uppercase().as_str(), below.as_slice()) {
        ("GET", []) => Some(LIST),
        ("GET", [_]) => Some(GET),
        ("PUT", [_]) => Some(CREATE),
        ("DELETE", [_]) => Some(DELETE),
        ("POST", [_, "deletemachines"]) => Some(DELETE_MACHINES),
        ("POST", [_, "abort"]) => Some(ABORT),
        ("GET", [_, "machines"]) => Some(MACHINES),
        ("GET", [_, "machines", _]) => Some(MACHINE),
        _ => None,
    }
}

fn by_file(file: &Path) -> Option<&'static str> {
    let name = file.file_stem()?.to_str()?.to_ascii_lowercase();
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    FILES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, operation)| *operation)
}

/// What is sent can be of one operation only.
fn by_parameters(example: &Value) -> Option<&'static str> {
    let answers = |name: &str| example["responses"][name]["body"]["type"].as_str().unwrap_or_default();
    let pool = |kind: &str| kind.eq_ignore_ascii_case("Microsoft.ContainerService/managedClusters/agentPools");
    if example["parameters"]["machines"]["machineNames"].is_array() {
        return Some(DELETE_MACHINES);
    }
    let puts = example["parameters"]["parameters"]["properties"].is_object();
    (puts && ["200", "201"].iter().any(|status| pool(answers(status)))).then_some(CREATE)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(file: &str, example: &Value) -> Result<String, String> {
        super::of(Path::new(file), example)
    }

    fn named() -> Value {
        json!({"parameters": {"agentPoolName": "p", "parameters": {"properties": {}}, "machines": {"machineNames": []}}})
    }

    #[test]
    fn an_example_says_its_operation() {
        let mut example = named();
        example["operationId"] = json!("AgentPools_Get");
        assert_eq!(of("AgentPoolsDelete.json", &example).unwrap(), GET);
    }

    #[test]
    fn or_its_method_and_path_do() {
        let cluster =
            "/subscriptions/s/resourcegroups/g/providers/Microsoft.ContainerService/managedClusters/c/agentPools";
        for (method, below, operation) in [
            ("GET", "", LIST),
            ("put", "/p?api-version=1", CREATE),
            ("DELETE", "/p", DELETE),
            ("POST", "/p/deleteMachines", DELETE_MACHINES),
            ("POST", "/p/abort", ABORT),
            ("GET", "/p/machines", MACHINES),
            ("GET", "/p/machines/m", MACHINE),
        ] {
            let mut example = named();
            example["request"] = json!({"method": method, "url": format!("{cluster}{below}")});
            assert_eq!(of("one.json", &example).unwrap(), operation, "{method} {below}");
        }
    }

    #[test]
    fn or_its_files_name() {
        for (file, operation) in [
            ("AgentPoolsCreate_LocalDNS.json", CREATE),
            ("AgentPools_Stop.json", CREATE),
            ("AgentPoolsDelete_IgnorePodDisruptionBudget.json", DELETE),
            ("AgentPoolsDeleteMachines.json", DELETE_MACHINES),
            ("AgentPoolsAbortOperation.json", ABORT),
            ("some/where/MachineList.json", MACHINES),
        ] {
            assert_eq!(of(file, &named()).unwrap(), operation, "{file}");
        }
    }

    #[test]
    fn or_what_it_sends() {
        let mut example = named();
        assert_eq!(of("mine.json", &example).unwrap(), DELETE_MACHINES);
        example["parameters"]["machines"] = json!(null);
        example["responses"]["201"]["body"] = json!({"type": "microsoft.containerservice/managedclusters/agentpools"});
        assert_eq!(of("mine.json", &example).unwrap(), CREATE);
    }

    #[test]
    fn and_else_why_it_is_not_played_is_said() {
        let nothing = json!({"parameters": {"agentPoolName": "p"}});
        for (file, why) in [
            ("mine.json", "nothing tells"),
            ("AgentPoolsGetUpgradeProfile.json", "AgentPools_GetUpgradeProfile is not an operation"),
            ("AgentPoolsCreate_Spot.json", "without properties"),
            ("AgentPoolsDeleteMachines.json", "without machineNames"),
        ] {
            assert!(of(file, &nothing).unwrap_err().contains(why), "{file}");
        }
        let of_clusters = json!({"operationId": "ManagedClusters_Get"});
        assert!(of("AgentPoolsGet.json", &of_clusters).unwrap_err().contains("ManagedClusters_Get is not"));
    }
}
