using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Coordination;

/// <summary>The data nodes that the cluster knows: added where they answer, and asked what they hold.</summary>
internal sealed class NodeKeeper(Catalog catalog, ClusterReport report, CommandQueue commands)
{
    public async Task<AdminReply<NodeStatus>> StoresAsync(string name, CancellationToken cancel)
    {
        var node = catalog.Table.TryNode(name);
        if (node.IsNone)
            return AdminReply<NodeStatus>.Error(
                "node_not_found",
                $"there is no node '{name}': 'nodes list' shows those there are"
            );
        var (status, _, error) = await report.AskAsync(node.Value, cancel);
        return status is null
            ? AdminReply<NodeStatus>.Error("node_unreachable", $"node '{name}' gives no answer: {error}")
            : AdminReply<NodeStatus>.Ok(status);
    }

    public async Task<AdminReply<NodeInfo>> AddAsync(AddNodeRequest request, CancellationToken cancel)
    {
        if (request.Name == "" || request.Name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')))
            return AdminReply<NodeInfo>.Error(
                "invalid_node_name",
                $"`{request.Name}` is not a valid node name: letters, digits, -, _ and ."
            );
        if (
            !Uri.TryCreate(request.Address, UriKind.Absolute, out var address)
            || address.Scheme is not ("http" or "https")
        )
            return AdminReply<NodeInfo>.Error(
                "invalid_node_address",
                $"`{request.Address}` is not a node's address: expected something like http://127.0.0.1:7001"
            );
        if (!(request.Weight >= 0) || double.IsInfinity(request.Weight) || request.CapacityBytes < 0)
            return AdminReply<NodeInfo>.Error(
                "invalid_node_weight",
                "a node's weight and capacity must not be negative (0: the default)"
            );
        var node = new NodeInfo(
            request.Name,
            request.Address.TrimEnd('/'),
            request.Zone,
            request.Weight == 0 ? 1 : request.Weight,
            request.CapacityBytes,
            NodeRole.Active
        );
        var table = catalog.Table;
        var known = table.TryNode(request.Name);
        if (known.IsSome && known.Value.Address != node.Address)
            return AdminReply<NodeInfo>.Error(
                "node_already_exists",
                $"node '{request.Name}' is there already, at {known.Value.Address}"
            );
        if (table.Nodes.FirstOrDefault(n => n.Name != node.Name && n.Address == node.Address) is { } other)
            return AdminReply<NodeInfo>.Error(
                "node_already_exists",
                $"{node.Address} is the address of node '{other.Name}' already"
            );
        var (status, _, error) = await report.AskAsync(node, cancel);
        if (status is null)
            return AdminReply<NodeInfo>.Error(
                "node_unreachable",
                $"no node '{node.Name}' answers at {node.Address}: {error}"
            );
        var outcome = await commands.RunAsync(limit => catalog.CommitAsync([CatalogWrite.Of(node)], limit), cancel);
        return outcome == CommitOutcome.Committed
            ? AdminReply<NodeInfo>.Ok(node)
            : AdminReply<NodeInfo>.Error("not_leader", "another coordinator leads now: ask that one");
    }
}
