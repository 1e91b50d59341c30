using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Runtime.Routing;

/// <summary>What the parts of one router share.</summary>
internal sealed class RouterContext(
    RouterOptions options,
    long incarnation,
    TableFollower follower,
    INodeDirectory nodes,
    TimeProvider time,
    IEntropy entropy,
    Action<string> log
)
{
    public RouterOptions Options { get; } = options;

    /// <summary>Which start of this router: what routes name their writer by.</summary>
    public long Incarnation { get; } = incarnation;
    public TableFollower Follower { get; } = follower;
    public TimeProvider Time { get; } = time;
    public IEntropy Entropy { get; } = entropy;
    public Action<string> Log { get; } = log;
    public RouterCounters Counters { get; } = new();
    public Deadlines Deadlines { get; } = new(time, options.OperationTimeoutMs);

    public RoutingTable Table => Follower.Table;

    /// <summary>True once the router stops: it takes over no shard any more.</summary>
    public bool IsStopping { get; set; }

    public bool IsWriterOf(Route route) =>
        !IsStopping && !Follower.IsDeposed && route.Writer.Is(Options.Name, Incarnation);

    /// <summary>The node of that name; null while the table has no address for it.</summary>
    public INode? Node(string name)
    {
        var node = Table.TryNode(name);
        return node.IsValueSome ? nodes.Get(name, node.Value.Address) : null;
    }

    /// <summary>One question to a node, with the limit of an attempt; null where no answer came in time, whatever the reason.</summary>
    public async Task<T?> AskAsync<T>(
        string name,
        Func<INode, CancellationToken, Task<T>> ask,
        CancellationToken cancel
    )
        where T : class
    {
        if (Node(name) is not { } node)
        {
            return null;
        }
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(Options.AttemptTimeoutMs), Time);
        using var link = cancel.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit);
        try
        {
            return await ask(node, limit.Token);
        }
        catch (Exception)
        {
            Counters.Unanswered();
            return null;
        }
    }

    public Backoff Backoff() => new(Options.FirstRetryMs, Options.MaxRetryMs, Entropy);

    /// <summary>False where the token ended first.</summary>
    public async Task<bool> DelayAsync(TimeSpan wait, CancellationToken cancel)
    {
        try
        {
            await Task.Delay(wait, Time, cancel);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>
    /// Waits for the next change of the table, but not longer than the backoff says; false where the token ended first.
    /// </summary>
    public async Task<bool> ChangeOrDelayAsync(Signal changed, TimeSpan wait, CancellationToken cancel) =>
        await changed.Arrives(wait, Time, cancel) || !cancel.IsCancellationRequested;
}
