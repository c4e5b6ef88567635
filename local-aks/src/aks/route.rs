//! Which thing an Azure Resource Manager path names.

use super::error::ApiError;
use super::fleet::Scope;

pub(super) const API_VERSION: &str = "2026-03-01";

/// A place in the API, below the right subscription, resource group and cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Pools,
    Pool(String),
    Machines(String),
    Machine(String, String),
    DeleteMachines(String),
    Abort(String),
    Operation(String),
    OperationResult(String),
}

impl Route {
    /// Reads a path. Resource Manager compares all but the names it is given back without case, and so do we.
    pub(super) fn parse(path: &str, scope: &Scope) -> Result<Self, ApiError> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let is = |at: usize, word: &str| segments.get(at).is_some_and(|segment| segment.eq_ignore_ascii_case(word));
        let name = |at: usize| segments.get(at).map(|segment| (*segment).to_owned()).unwrap_or_default();
        let unknown =
            || ApiError::new(404, "InvalidResourceType", format!("The resource type of '{path}' could not be found."));
        if !is(0, "subscriptions") {
            return Err(unknown());
        }
        if !is(1, &scope.subscription) {
            return Err(ApiError::new(
                404,
                "SubscriptionNotFound",
                format!("The subscription '{}' could not be found.", name(1)),
            ));
        }
        if is(2, "providers") && is(3, "Microsoft.ContainerService") && is(4, "locations") && segments.len() == 8 {
            return match segments[6].to_ascii_lowercase().as_str() {
                "operations" => Ok(Self::Operation(name(7))),
                "operationresults" => Ok(Self::OperationResult(name(7))),
                _ => Err(unknown()),
            };
        }
        if !is(2, "resourceGroups") {
            return Err(unknown());
        }
        if !is(3, &scope.group) {
            return Err(ApiError::new(
                404,
                "ResourceGroupNotFound",
                format!("Resource group '{}' could not be found.", name(3)),
            ));
        }
        if !(is(4, "providers")
            && is(5, "Microsoft.ContainerService")
            && is(6, "managedClusters")
            && is(8, "agentPools"))
        {
            return Err(unknown());
        }
        if !is(7, &scope.cluster) {
            return Err(ApiError::new(
                404,
                "ResourceNotFound",
                format!(
                    "The Resource 'Microsoft.ContainerService/managedClusters/{}' under resource group '{}' was not found.",
                    name(7),
                    name(3)
                ),
            ));
        }
        match segments.len() {
            9 => Ok(Self::Pools),
            10 => Ok(Self::Pool(name(9))),
            11 if is(10, "machines") => Ok(Self::Machines(name(9))),
            11 if is(10, "deleteMachines") => Ok(Self::DeleteMachines(name(9))),
            11 if is(10, "abort") => Ok(Self::Abort(name(9))),
            12 if is(10, "machines") => Ok(Self::Machine(name(9), name(11))),
            _ => Err(unknown()),
        }
    }
}

/// Checks the query's api-version.
pub(super) fn check_api_version(query: Option<&str>) -> Result<(), ApiError> {
    let given = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find(|(key, _)| key.eq_ignore_ascii_case("api-version"))
        .map(|(_, value)| value.into_owned());
    match given.as_deref() {
        Some(API_VERSION) => Ok(()),
        Some(other) => Err(ApiError::new(
            400,
            "InvalidApiVersionParameter",
            format!("The api-version '{other}' is invalid. The supported versions are '{API_VERSION}'."),
        )),
        None => Err(ApiError::new(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<Route, String> {
        let scope =
            Scope { subscription: "s".into(), group: "rg".into(), cluster: "c".into(), location: "local".into() };
        Route::parse(path, &scope).map_err(|error| error.code)
    }

    const CLUSTER: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c";

    #[test]
    fn every_path_of_the_api_is_found() {
        assert_eq!(parse(&format!("{CLUSTER}/agentPools")), Ok(Route::Pools));
        assert_eq!(parse(&format!("{CLUSTER}/agentPools/p")), Ok(Route::Pool("p".into())));
        assert_eq!(parse(&format!("{CLUSTER}/agentPools/p/machines")), Ok(Route::Machines("p".into())));
        assert_eq!(parse(&format!("{CLUSTER}/agentPools/p/machines/m")), Ok(Route::Machine("p".into(), "m".into())));
        assert_eq!(parse(&format!("{CLUSTER}/agentPools/p/deleteMachines")), Ok(Route::DeleteMachines("p".into())));
        let location = "/subscriptions/s/providers/Microsoft.ContainerService/locations/eastus";
        assert_eq!(parse(&format!("{location}/operations/o")), Ok(Route::Operation("o".into())));
        assert_eq!(parse(&format!("{location}/operationresults/o")), Ok(Route::OperationResult("o".into())));
    }

    #[test]
    fn letter_case_does_not_matter_outside_names() {
        let path =
            "/SUBSCRIPTIONS/S/resourcegroups/RG/providers/microsoft.containerservice/managedclusters/C/agentpools/p";
        assert_eq!(parse(path), Ok(Route::Pool("p".into())));
    }

    #[test]
    fn what_is_elsewhere_is_not_found_and_named() {
        assert_eq!(parse("/subscriptions/x/resourceGroups/rg"), Err("SubscriptionNotFound".into()));
        assert_eq!(parse(&CLUSTER.replace("/rg/", "/other/")), Err("ResourceGroupNotFound".into()));
        let other = CLUSTER.replace("Clusters/c", "Clusters/d");
        assert_eq!(parse(&format!("{other}/agentPools/p")), Err("ResourceNotFound".into()));
        assert_eq!(parse("/"), Err("InvalidResourceType".into()));
    }
}
