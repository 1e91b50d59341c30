using System.Collections.Concurrent;
using System.Threading.Channels;
using Miroir.Core;
using Miroir.Core.Cutover;
using Miroir.Ports;

namespace Miroir.Runtime.Coordination;

/// <summary>
/// The interpreter of one migration: take an observation, step, journal it, perform the effects, feed the answers
/// back. It holds no policy. A restart folds the journal and performs again what was outstanding.
/// </summary>
internal sealed class MigrationRunner
{
    private const int MaxQueued = 10_000;
    private const int MaxBatch = 64;

    private readonly Catalog _catalog;
    private readonly IWorld _world;
    private readonly Action<string> _log;
    private readonly Channel<Item> _inbox = Channel.CreateBounded<Item>(MaxQueued);
    private readonly ConcurrentDictionary<long, CancellationTokenSource> _running = new();
    private readonly CancellationTokenSource _stop = new();
    private volatile State _state;
    private long _position;
    private Task _loop = Task.CompletedTask;

    private sealed record Item(Event Event, TaskCompletionSource<Rejection?>? Reply);

    /// <param name="position">Where the journal's next entry goes.</param>
    public MigrationRunner(Catalog catalog, IWorld world, State state, long position, Action<string> log)
    {
        _catalog = catalog;
        _world = world;
        _state = state;
        _position = position;
        _log = log;
    }

    public State State => _state;

    public long Id => _state.Plan.Migration;

    /// <summary>Performs everything outstanding, and goes on from there.</summary>
    public void Start()
    {
        if (_state.IsEnded)
            return;
        foreach (var effect in Transition.outstanding(_state))
            Begin(effect);
        _loop = LoopAsync();
    }

    public async Task StopAsync()
    {
        _stop.Cancel();
        await _loop;
    }

    /// <summary>Gives an order; null when it was taken (and journalled), else why it was refused.</summary>
    public async Task<Rejection?> OrderAsync(Order order, CancellationToken cancel)
    {
        if (_state.IsEnded)
            return new Rejection("migration_ended", $"migration {Id} has ended");
        var reply = new TaskCompletionSource<Rejection?>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            await _inbox.Writer.WriteAsync(new Item(Event.NewOrdered(order), reply), cancel);
        }
        catch (ChannelClosedException)
        {
            return Closed();
        }
        using var over = cancel.UnsafeRegister(
            static (state, token) => ((TaskCompletionSource<Rejection?>)state!).TrySetCanceled(token),
            reply
        );
        return await reply.Task;
    }

    private async Task LoopAsync()
    {
        List<Item> batch = [];
        try
        {
            while (!_state.IsEnded)
            {
                batch = [await _inbox.Reader.ReadAsync(_stop.Token)];
                while (batch.Count < MaxBatch && _inbox.Reader.TryRead(out var more))
                    batch.Add(more);
                if (!await TakeAsync(batch))
                    break;
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested) { }
        catch (Exception e)
        {
            _log($"migration {Id}: its journal could not be written: {e.Message}");
        }
        finally
        {
            // A migration that nobody interprets any more must not look led: the next leader goes on with it.
            if (!_state.IsEnded && !_stop.IsCancellationRequested)
                _catalog.StepDown();
            // Nobody answers any more.
            _inbox.Writer.TryComplete();
            foreach (var item in batch)
                item.Reply?.TrySetResult(Closed());
            while (_inbox.Reader.TryRead(out var left))
                left.Reply?.TrySetResult(Closed());
            foreach (var sequence in _running.Keys.Order().ToList())
                Stop(sequence);
        }
    }

    private Rejection Closed() =>
        _state.IsEnded
            ? new Rejection("migration_ended", $"migration {Id} has ended")
            : new Rejection("not_leader", "another coordinator leads now: ask that one");

    private bool IsWanted(Event observed) =>
        observed is not Event.Answered answered || _state.Outstanding.ContainsKey(answered.sequence);

    /// <summary>False: this interpreter must stop.</summary>
    private async Task<bool> TakeAsync(List<Item> batch)
    {
        var now = _world.Time.GetUtcNow().ToUnixTimeMilliseconds();
        var state = _state;
        List<CatalogWrite> journal = [];
        List<Effect> effects = [];
        List<TaskCompletionSource<Rejection?>> taken = [];
        foreach (var item in batch)
        {
            // What is over is not worth a line in the journal; the step would pass over it too.
            if (!IsWanted(item.Event) && journal.Count == 0)
                continue;
            var observation = new Observation(now, item.Event);
            var result = Transition.step(state, observation);
            if (result.IsError)
            {
                item.Reply?.TrySetResult(result.ErrorValue);
                continue;
            }

            journal.Add(CatalogWrite.Of(Id, _position + journal.Count, observation));
            state = result.ResultValue.Item1;
            effects.AddRange(result.ResultValue.Item2);
            if (item.Reply is { } reply)
                taken.Add(reply);
        }

        if (journal.Count == 0)
            return true;

        if (Mutants.journalAfterPerforming())
            Begin(effects);

        // Journal first, perform second: what was performed can always be explained, and done again.
        var outcome = await _catalog.CommitAsync(journal, _stop.Token);
        if (outcome != CommitOutcome.Committed)
        {
            _log($"migration {Id}: the journal could not be written ({outcome}): this coordinator stops it");
            return false;
        }

        var before = Phase.ofState(_state);
        _position += journal.Count;
        _state = state;
        var after = Phase.ofState(state);
        if (before != after)
            _log($"migration {Id}: {after}");
        foreach (var reply in taken)
            reply.TrySetResult(null);
        if (!Mutants.journalAfterPerforming())
            Begin(effects);
        return true;
    }

    private void Begin(List<Effect> effects)
    {
        foreach (var effect in effects)
            Begin(effect);
    }

    private void Begin(Effect effect)
    {
        if (effect.Action is Miroir.Core.Cutover.Action.Cancel cancelled)
        {
            Stop(cancelled.sequence);
            return;
        }

        var stop = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        _running[effect.Sequence] = stop;
        _ = PerformAsync(effect, stop);
    }

    private void Stop(long sequence)
    {
        // Whoever takes it off the list owns it: it is cancelled or disposed, never one after the other.
        if (_running.TryRemove(sequence, out var running))
            running.Cancel();
    }

    private async Task PerformAsync(Effect effect, CancellationTokenSource stop)
    {
        try
        {
            var answer = await Perform.effect(
                _world,
                effect,
                partial => FeedAsync(effect.Sequence, partial, stop.Token),
                stop.Token
            );
            if (answer.IsSome)
                await FeedAsync(effect.Sequence, answer.Value, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested) { }
        catch (ChannelClosedException) { }
        catch (Exception e)
        {
            // A fault of this process is as good as no answer: the core decides what to do about it.
            _log($"migration {Id}: effect {effect.Sequence} failed: {e.Message}");
            _inbox.Writer.TryWrite(
                new Item(Event.NewAnswered(effect.Sequence, Answer.NewUnreachable(e.Message)), null)
            );
        }
        finally
        {
            if (_running.TryRemove(effect.Sequence, out _))
                stop.Dispose();
        }
    }

    private Task FeedAsync(long sequence, Answer answer, CancellationToken cancel) =>
        _inbox.Writer.WriteAsync(new Item(Event.NewAnswered(sequence, answer), null), cancel).AsTask();
}
