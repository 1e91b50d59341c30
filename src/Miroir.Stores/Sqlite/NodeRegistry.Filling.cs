using Miroir.Core;

namespace Miroir.Stores.Sqlite;

/// <summary>Stores that can't be trusted, and those that are filled in their place.</summary>
internal sealed partial class NodeRegistry
{
    private readonly Lock _quarantineLock = new();
    private Task _quarantines = Task.CompletedTask;

    /// <summary>See <see cref="Ports.INodeStore.BeginFill"/>.</summary>
    public async Task<MakeReply> BeginFill(MakeCommand command, CancellationToken cancel)
    {
        if (StoreRegistration.WhyBadName(command.Store) is { } why)
            return Refused(why);
        await _lifecycle.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            if (!await Admit(command.Stamp).ConfigureAwait(false))
                return Stale(command);
            if (Files.TryGet(command.Store, out var known))
            {
                if (known.Health == StoreHealth.Serving)
                    return Refused($"store {command.Store} serves: there is nothing to rebuild");
                if (known.Health == StoreHealth.Filling)
                    return MakeReply.NewMade(known.Registration.Incarnation);
                await Files.Retire(known).ConfigureAwait(false);
                known.SetAside();
            }

            return await MakeNew(command, StoreHealth.Filling).ConfigureAwait(false);
        }
        catch (IOException e) when (e is not UncertainCommitException)
        {
            return MakeReply.NewMakeRefused(Refusals.Of(e));
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    /// <summary>See <see cref="Ports.INodeStore.EndFill"/>.</summary>
    public async Task<bool> EndFill(ShardId store, Guid incarnation, CancellationToken cancel)
    {
        await _lifecycle.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            var isTheOne =
                Files.TryGet(store, out var file)
                && file.Health == StoreHealth.Filling
                && file.Registration.Incarnation == incarnation;
            if (!isTheOne)
                return false;
            await Register(file!.Registration, StoreState.Serving).ConfigureAwait(false);
            return Files.TryServe(file);
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    /// <summary>
    /// The file is left already; here node.db takes note, and it is set aside. Where this is cut off, the file is found out
    /// again.
    /// </summary>
    private void Quarantine(ShardFile file, Exception cause)
    {
        _options.Log($"store {file.Registration.Store} is quarantined: {cause.Message}");
        // Off the finder's thread, which is inside the file still.
        lock (_quarantineLock)
            _quarantines = Task.WhenAll(_quarantines, Task.Run(() => Quarantine(file)));
    }

    private async Task Quarantine(ShardFile file)
    {
        await _lifecycle.WaitAsync().ConfigureAwait(false);
        try
        {
            if (!Files.TryGet(file.Registration.Store, out var now) || now != file)
                return;
            await Register(file.Registration, StoreState.Quarantined).ConfigureAwait(false);
            await Files.Retire(file, FileOf(file.Registration, StoreHealth.Quarantined)).ConfigureAwait(false);
            file.SetAside();
        }
        catch (Exception e)
        {
            _options.Log($"store {file.Registration.Store} could not be set aside, and answers nothing: {e.Message}");
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    private void AwaitQuarantines()
    {
        Task last;
        lock (_quarantineLock)
            last = _quarantines;
        last.GetAwaiter().GetResult();
    }

    private Task<bool> Register(StoreRegistration store, StoreState state) =>
        OnCommit(
            database =>
            {
                NodeDatabase.Register(database, store, state);
                return true;
            },
            static isDone => isDone
        );
}
