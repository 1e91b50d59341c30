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
        var enough = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var calls = Activation
            .outstanding(Current)
            .GroupBy(static asked => asked.Item1.Node, StringComparer.Ordinal)
            .Select(group => AskAsync(group.Key, [.. group], enough, limit.Token))
            .ToArray();
        await Task.WhenAny(Task.WhenAll(calls), enough.Task);
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
        TaskCompletionSource enough,
        CancellationToken cancel
    )
    {
        if (context.Node(name) is not { } node)
        {
            return;
        }
        try
        {
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
            enough.TrySetResult();
        }
        catch (Exception)
        {
            // Not confirmed: asked again with the next round, if there is one.
        }
    }
}
