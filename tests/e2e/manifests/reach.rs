//! Who can talk to whom under network policies, by Kubernetes' rules.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub(crate) type Labels = BTreeMap<String, String>;

pub(crate) fn labels<const N: usize>(labels: [(&str, &str); N]) -> Labels {
    labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The other side.
pub(crate) enum Peer {
    Address(&'static str),
    /// A pod of the same namespace.
    Beside(Labels),
    /// A pod of the namespace with this name.
    Pod(&'static str, Labels),
}

pub(crate) fn egress(
    policies: &[NetworkPolicy],
    from: &Labels,
    to: &Peer,
    port: (&str, i32),
) -> bool {
    allowed(policies, from, "Egress", |policy| {
        let rules = policy.spec.as_ref().unwrap().egress.iter().flatten();
        rules
            .map(|rule| (rule.to.as_deref(), rule.ports.as_deref()))
            .any(|(to_any_of, ports)| {
                any(to_any_of, |it| is_peer(it, to)) && any(ports, |it| is_port(it, port))
            })
    })
}

pub(crate) fn ingress(
    policies: &[NetworkPolicy],
    from: &Peer,
    to: &Labels,
    port: (&str, i32),
) -> bool {
    allowed(policies, to, "Ingress", |policy| {
        let rules = policy.spec.as_ref().unwrap().ingress.iter().flatten();
        rules
            .map(|rule| (rule.from.as_deref(), rule.ports.as_deref()))
            .any(|(from_any_of, ports)| {
                any(from_any_of, |it| is_peer(it, from)) && any(ports, |it| is_port(it, port))
            })
    })
}

/// A pod that no policy selects may do what it likes; any other what one of its policies allows.
fn allowed(
    policies: &[NetworkPolicy],
    pod: &Labels,
    direction: &str,
    allows: impl Fn(&NetworkPolicy) -> bool,
) -> bool {
    let mut own = policies
        .iter()
        .filter(|policy| {
            let spec = policy.spec.as_ref().unwrap();
            let selector = spec.pod_selector.clone().unwrap_or_default();
            let types = spec.policy_types.as_ref().unwrap();
            selects(&selector, pod) && types.iter().any(|it| it == direction)
        })
        .peekable();
    own.peek().is_none() || own.any(allows)
}

/// An empty list, or none, is everything.
fn any<T>(list: Option<&[T]>, is: impl Fn(&T) -> bool) -> bool {
    list.is_none_or(|list| list.is_empty() || list.iter().any(is))
}

pub(crate) fn selects(selector: &LabelSelector, pod: &Labels) -> bool {
    let wanted = selector.match_labels.iter().flatten();
    let mut expressions = selector.match_expressions.iter().flatten();
    wanted
        .into_iter()
        .all(|(name, value)| pod.get(name) == Some(value))
        && expressions.all(|expression| {
            let value = pod.get(&expression.key);
            let values = expression.values.as_deref().unwrap_or_default();
            let within = value.is_some_and(|value| values.contains(value));
            match expression.operator.as_str() {
                "In" => within,
                "NotIn" => !within,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                other => panic!("{other} is no operator"),
            }
        })
}

fn is_peer(rule: &NetworkPolicyPeer, peer: &Peer) -> bool {
    match peer {
        Peer::Address(address) => {
            let address = address.parse().unwrap();
            let block = rule.ip_block.as_ref();
            block.is_some_and(|block| is_in(block, address))
        }
        Peer::Beside(pod) => rule.namespace_selector.is_none() && is_selected(rule, pod),
        Peer::Pod(namespace, pod) => {
            let namespace = labels([("kubernetes.io/metadata.name", namespace)]);
            let selector = rule.namespace_selector.as_ref();
            let there = selector.is_some_and(|selector| selects(selector, &namespace));
            there && rule.pod_selector.as_ref().is_none_or(|it| selects(it, pod))
        }
    }
}

fn is_selected(rule: &NetworkPolicyPeer, pod: &Labels) -> bool {
    let selector = rule.pod_selector.as_ref();
    selector.is_some_and(|selector| selects(selector, pod))
}

fn is_in(block: &IPBlock, address: IpAddr) -> bool {
    let mut excepted = block.except.iter().flatten();
    contains(&block.cidr, address) && !excepted.any(|cidr| contains(cidr, address))
}

fn contains(cidr: &str, address: IpAddr) -> bool {
    let (network, length) = parts(cidr);
    let (network, address, size) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits().into(), address.to_bits().into(), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let different: u128 = network ^ address;
    different.checked_shr(size - length).unwrap_or(0) == 0
}

fn parts(cidr: &str) -> (IpAddr, u32) {
    let (network, length) = cidr.split_once('/').unwrap();
    (network.parse().unwrap(), length.parse().unwrap())
}

/// Kubernetes takes a policy only if what is excepted is within its block, and has no bits beyond its length.
pub(crate) fn misplaced_exceptions(policies: &[NetworkPolicy]) -> Vec<&str> {
    let rules = policies
        .iter()
        .flat_map(|policy| policy.spec.as_ref().unwrap().egress.iter().flatten());
    let blocks = rules
        .flat_map(|rule| rule.to.iter().flatten())
        .filter_map(|peer| peer.ip_block.as_ref());
    blocks
        .flat_map(|block| {
            let excepted = block.except.iter().flatten();
            excepted.filter(|cidr| {
                let (network, length) = parts(cidr);
                !contains(&block.cidr, network) || length <= parts(&block.cidr).1
            })
        })
        .map(String::as_str)
        .collect()
}

fn is_port(rule: &NetworkPolicyPort, (protocol, port): (&str, i32)) -> bool {
    let same = rule.protocol.as_deref().unwrap_or("TCP") == protocol;
    let within = match (&rule.port, rule.end_port) {
        (None, _) => true,
        (Some(IntOrString::Int(first)), Some(last)) => (*first..=last).contains(&port),
        (Some(first), _) => *first == IntOrString::Int(port),
    };
    same && within
}
