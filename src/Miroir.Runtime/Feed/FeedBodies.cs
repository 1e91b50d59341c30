using Miroir.Core;
using Miroir.Runtime.Routing;

namespace Miroir.Runtime.Feed;

/// <summary>
/// Gets the documents of a part's changes. A version has one body for ever, so that any replica that holds exactly the
/// version will do; where a write quorum of the owners answered and none of them holds it, a later one has replaced it.
/// </summary>
internal sealed class FeedBodies(RouterContext context, string index, int maxBytes)
{
    private const int KeysAtOnce = 64;
    private long _bytes;

    /// <summary>For as many of the changes as there is room for; the part is cut behind these. It says in the part why not.</summary>
    public async Task FillAsync(FeedPart part, CancellationToken cancel)
    {
        // Of several changes of a document only the last can be what is there.
        var last = new Dictionary<Key, int>();
        for (var i = 0; i < part.Changes.Count; i++)
        {
            last[part.Changes[i].Key] = i;
        }
        foreach (var chunk in Enumerable.Range(0, part.Changes.Count).Chunk(KeysAtOnce))
        {
            if (_bytes >= maxBytes)
            {
                break;
            }
            var bodies = new ReadOnlyMemory<byte>?[chunk.Length];
            var wanted = chunk.Where(i => !part.Changes[i].IsDelete && last[part.Changes[i].Key] == i).ToArray();
            if (await ReadAsync(part, wanted, (i, body) => bodies[i - chunk[0]] = body, cancel) is { } why)
            {
                part.Fail(why);
                break;
            }
            part.Bodies.AddRange(bodies);
            _bytes += bodies.Sum(static body => body?.Length ?? 0);
        }
        part.Cut(part.Bodies.Count);
    }

    /// <summary>Null, or why not all of them could be looked up.</summary>
    private async Task<string?> ReadAsync(
        FeedPart part,
        int[] wanted,
        Action<int, ReadOnlyMemory<byte>> found,
        CancellationToken cancel
    )
    {
        // The route may be another one by now; as a part of the hash space it may be several.
        var routes = new Dictionary<RouteStamp, (Route Route, List<int> Changes)>();
        foreach (var i in wanted)
        {
            if (context.Table.Resolve(index, part.Changes[i].Key.Hash) is not { IsValueSome: true, Value: var route })
            {
                return $"a shard of index {index} has no route yet";
            }
            if (!routes.TryGetValue(route.Stamp, out var known))
            {
                routes.Add(route.Stamp, known = (route, []));
            }
            known.Changes.Add(i);
        }
        foreach (var (route, changes) in routes.Values)
        {
            if (await ReadAsync(part, route, changes, found, cancel) is { } why)
            {
                return why;
            }
        }
        return null;
    }

    private async Task<string?> ReadAsync(
        FeedPart part,
        Route route,
        List<int> wanted,
        Action<int, ReadOnlyMemory<byte>> found,
        CancellationToken cancel
    )
    {
        var answers = wanted.ToDictionary(static i => i, static _ => 0);
        foreach (var replica in route.OwnerReplicas)
        {
            if (wanted.Count == 0)
            {
                return null;
            }
            ReadCommand[] reads =
            [
                .. wanted.Select(i => new ReadCommand(route.Stamp, replica.Store, part.Changes[i].Key)),
            ];
            var replies = await context.AskAsync(replica.Node, (node, limit) => node.Read(reads, limit), cancel);
            cancel.ThrowIfCancellationRequested();
            List<int> missing = [];
            for (var n = 0; n < wanted.Count; n++)
            {
                var i = wanted[n];
                switch (replies?[n])
                {
                    case ReadReply.Found { Item: var document }
                        when document.Version.Equals(part.Changes[i].Version) && !document.IsTombstone:
                        found(i, document.Body);
                        continue;
                    case ReadReply.Found or { IsAbsent: true }:
                        answers[i]++;
                        break;
                    case ReadReply.ReadStaleEpoch { Route: { } newer }:
                        context.Follower.Adopt(newer.Value);
                        break;
                }
                missing.Add(i);
            }
            wanted = missing;
        }
        var needed = Quorum.write(route.Owners.Length);
        return wanted.TrueForAll(i => answers[i] >= needed)
            ? null
            : $"shard {route.Stamp}: too few replicas answered what the documents are";
    }
}
