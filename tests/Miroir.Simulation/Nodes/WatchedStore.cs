using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Simulation.Nodes;

/// <summary>A store that tells of puts: before each call, and after it with what was answered.</summary>
internal sealed class WatchedStore(INodeStore inner, Action before, Action<IReadOnlyList<PutCommand>, PutReply[]> after)
    : PassingStore(inner)
{
    public override async Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel)
    {
        before();
        var replies = await Inner.Put(commands, cancel);
        after(commands, replies);
        return replies;
    }
}
