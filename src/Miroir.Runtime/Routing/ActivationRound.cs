using System.Runtime.CompilerServices;
using Miroir.Core;

namespace Miroir.Runtime.Routing;

/// <summary>Performs a new writer's <see cref="Activation"/> under one epoch. Decides nothing.</summary>
internal sealed class ActivationRound(RouterContext context, Route route)
{
    private readonly Lock _lock = new();
    private ActivationState _state = Activation.start(route);

    public long Epoch => route.Epoch;

    /// <summary>Asks everyone who has not confirmed yet; ends with true as soon as enough have.</summary>
    public async Task<bool> RaiseAsync(CancellationToken ended)
    {
        using var limit = new CancellationTokenSource(
            TimeSpan.FromMilliseconds(context.Options.AttemptTimeoutMs),
            context.Time
        );
        using var link = ended.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit);
        var isOver = new Signal();
        var nodes = Activation
            .outstanding(Current)
            .GroupBy(static asked => asked.Item1.Node, StringComparer.Ordinal)
            .ToArray();
        var left = new StrongBox<int>(nodes.Length);
        foreach (var node in nodes)
        {
            _ = AskAsync(node.Key, [.. node], isOver, left, limit.Token);
        }
        if (nodes.Length > 0)
        {
            await isOver.Arrives(limit.Token);
        }
        // Enough is enough: whoever has not answered by now learns the epoch from the first request under it.
        limit.Cancel();
        return Current.IsActive;
    }

    private ActivationState Current
    {
        get
        {
            lock (_lock)
            {
                return _state;
            }
        }
    }

    private async Task AskAsync(
        string name,
        (Replica Replica, BarrierCommand Command)[] asked,
        Signal isOver,
        StrongBox<int> left,
        CancellationToken cancel
    )
    {
        try
        {
            if (context.Node(name) is not { } node)
            {
                return;
            }
            var replies = await node.RaiseBarriers([.. asked.Select(static one => one.Command)], cancel);
            lock (_lock)
            {
                for (var i = 0; i < asked.Length; i++)
                {
                    _state = Activation.replied(_state, asked[i].Replica, asked[i].Command, replies[i]);
                }
                if (!_state.IsActive)
                {
                    return;
                }
            }
            isOver.Set();
        }
        catch (Exception)
        {
            // Not confirmed: asked again with the next round, if there is one.
        }
        finally
        {
            if (Interlocked.Decrement(ref left.Value) == 0)
            {
                isOver.Set();
            }
        }
    }
}
