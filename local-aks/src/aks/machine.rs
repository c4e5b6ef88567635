//! Machines: their names and how the API shows them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fleet::Scope;

/// A machine that exists.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    name: String,
    scale_set: String,
    index: u64,
    zone: Option<String>,
    /// Stopped because the pool's count was lowered, and kept for the next time it is raised.
    pub(super) deallocated: bool,
}

/// Addresses by node, as far as the nodes have registered.
pub(super) type Addresses = BTreeMap<String, Vec<String>>;

/// `aks-<pool>-<8 digits>-vmss<6 base36>`, as AKS names the machines of a scale set.
pub(super) fn machine_name(pool: &str, digits: u32, index: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut suffix = [b'0'; 6];
    let mut rest = index;
    for place in suffix.iter_mut().rev() {
        *place = DIGITS[usize::try_from(rest % 36).unwrap_or(0)];
        rest /= 36;
    }
    format!("{}{}", scale_set(pool, digits), String::from_utf8_lossy(&suffix))
}

fn scale_set(pool: &str, digits: u32) -> String {
    format!("aks-{pool}-{digits:08}-vmss")
}

impl Machine {
    /// The machine behind one of our own names.
    pub(super) fn parse(name: &str, pool: &str, digits: u32, zones: &[String]) -> Option<Self> {
        let scale_set = scale_set(pool, digits);
        let index = u64::from_str_radix(name.strip_prefix(&scale_set)?, 36).ok()?;
        let zone =
            usize::try_from(index).ok().filter(|_| !zones.is_empty()).map(|index| zones[index % zones.len()].clone());
        Some(Self { name: name.to_owned(), scale_set, index, zone, deallocated: false })
    }

    pub(super) fn render(&self, scope: &Scope, pool: &str, addresses: &Addresses) -> Value {
        let addresses: Vec<Value> = addresses
            .get(&self.name)
            .into_iter()
            .flatten()
            .map(|address| json!({"family": if address.contains(':') { "IPv6" } else { "IPv4" }, "ip": address}))
            .collect();
        json!({
            "id": format!("{}/agentPools/{pool}/machines/{}", scope.cluster_id(), self.name),
            "name": self.name,
            "type": "Microsoft.ContainerService/managedClusters/agentPools/machines",
            "zones": self.zone.iter().collect::<Vec<_>>(),
            "properties": {
                "network": {"ipAddresses": addresses},
                "resourceId": format!(
                    "/subscriptions/{}/resourceGroups/MC_{}_{}_{}/providers/Microsoft.Compute/virtualMachineScaleSets/{}/virtualMachines/{}",
                    scope.subscription, scope.group, scope.cluster, scope.location, self.scale_set, self.index
                ),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_in_base_36_and_lead_back_to_their_machine() {
        assert_eq!(machine_name("scoring", 42_263_519, 0), "aks-scoring-42263519-vmss000000");
        assert_eq!(machine_name("scoring", 42_263_519, 29), "aks-scoring-42263519-vmss00000t");
        assert_eq!(machine_name("scoring", 42_263_519, 36), "aks-scoring-42263519-vmss000010");
        let machine = Machine::parse("aks-scoring-42263519-vmss000010", "scoring", 42_263_519, &[]).unwrap();
        assert_eq!(machine.index, 36);
        assert!(Machine::parse("aks-other-42263519-vmss000010", "scoring", 42_263_519, &[]).is_none());
    }
}
