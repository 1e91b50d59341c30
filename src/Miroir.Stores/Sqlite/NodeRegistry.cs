using Miroir.Core;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// What the node knows of itself: barriers, and stores being made, served and dropped. Everything is in node.db before
/// it counts, and what a crash left half done is finished when the directory is opened.
/// </summary>
internal sealed partial class NodeRegistry : IDisposable
{
    private readonly string _directory;
    private readonly SqliteNodeStoreOptions _options;
    private readonly Func<Guid> _newGuid;
    private readonly RouteBarriers _barriers = new();
    private readonly Sessions _sessions;
    private readonly CommitThread _commits;

    // Making and dropping are rare, and one at a time: a store that goes can't be in another's way.
    private readonly SemaphoreSlim _lifecycle = new(1);

    public NodeRegistry(string directory, SqliteNodeStoreOptions options, Func<Guid> newGuid)
    {
        _directory = directory;
        _options = options;
        _newGuid = newGuid;
        _sessions = new Sessions(newGuid);
        Files = new ShardFiles(options);
        var database = NodeDatabase.Open(
            Path.Combine(directory, "node.db"),
            new() { Synchronous = Mutants.syncLeftOut() ? Synchronous.Normal : options.Synchronous, Vfs = options.Vfs },
            newGuid
        );
        try
        {
            options.Names.Sync(directory);
            NodeId = NodeDatabase.NodeId(database);
            NodeDatabase.LoadBarriers(database, _barriers);
            NodeDatabase.LoadSessions(database, _sessions);
            Recover(database);
        }
        catch
        {
            database.Dispose();
            throw;
        }

        _commits = new CommitThread(database, "miroir node.db");
        _sessions.Start(_commits);
        Files.Distrusted += Quarantine;
    }

    public Guid NodeId { get; }

    public ShardFiles Files { get; }

    public FeedCounters Counters { get; } = new();

    public RouteBarrier Barrier(ShardId shard) => _barriers.Of(shard);

    /// <summary>Raises the barriers that stand lower than these stamps, durably, and to everyone's knowledge when it ends.</summary>
    public Task Raise(IReadOnlyCollection<(RouteStamp Stamp, Route? Told)> raises)
    {
        var news = raises.Where(raise => IsNews(raise.Stamp, raise.Told)).ToArray();
        if (news.Length == 0)
            return Task.CompletedTask;
        return OnCommit<object?, bool>(
            database =>
            {
                foreach (var (stamp, told) in Mutants.barrierNotDurable() ? [] : news)
                    NodeDatabase.Raise(database, stamp, told);
                return null;
            },
            _ =>
            {
                foreach (var (stamp, told) in news)
                    Barrier(stamp.Shard).Raise(stamp.Epoch, told);
                return true;
            }
        );
    }

    /// <summary>Raises the barrier of a request's route where the request's is newer; true: the request is admitted.</summary>
    public async ValueTask<bool> Admit(RouteStamp stamp)
    {
        var barrier = Barrier(stamp.Shard);
        if (stamp.Epoch > barrier.Epoch && !Mutants.raisingLeftOut())
            await Raise([(stamp, null)]).ConfigureAwait(false);
        return stamp.Epoch >= barrier.Epoch;
    }

    public async Task<MakeReply> Make(MakeCommand command, CancellationToken cancel)
    {
        if (StoreRegistration.WhyBadName(command.Store) is { } why)
            return MakeReply.NewMakeRefused(new Refusal(RefusalCode.Failed, why));
        await _lifecycle.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            if (!await Admit(command.Stamp).ConfigureAwait(false))
                return Stale(command);
            if (Mutants.makeWipes() && Files.TryGet(command.Store, out var wiped))
                await Remove(wiped).ConfigureAwait(false);
            if (!Files.TryGet(command.Store, out var known))
                return await MakeNew(command, StoreHealth.Serving).ConfigureAwait(false);
            if (known.Health == StoreHealth.Quarantined)
                return Refused($"store {command.Store} is quarantined: have it rebuilt, or drop it first");
            return known.Registration.Range.Equals(command.Range)
                ? MakeReply.NewMade(known.Registration.Incarnation)
                : MakeReply.NewMakeRefused(OtherRange(command, known.Registration));
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    public async Task<DropReply> Drop(DropCommand command, CancellationToken cancel)
    {
        await _lifecycle.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            var stamp = Mutants.dropsCarryNoEpoch() ? NoEpoch(command.Stamp) : command.Stamp;
            if (!await Admit(stamp).ConfigureAwait(false))
                return DropReply.NewDropStaleEpoch(Barrier(stamp.Shard).Epoch);
            if (!Files.TryGet(command.Store, out var file))
                return DropReply.AlreadyGone;
            var store = file.Registration;
            var isTheSame =
                (command.Incarnation == Guid.Empty || command.Incarnation == store.Incarnation)
                && (command.Migration == 0 || command.Migration == store.Migration);
            if (!isTheSame)
                return DropReply.NotTheSame;
            if (!await MoveOn(stamp, store, StoreState.Dropping).ConfigureAwait(false))
                return DropReply.NewDropStaleEpoch(Barrier(stamp.Shard).Epoch);
            await Remove(file).ConfigureAwait(false);
            if (Mutants.barrierForgottenAtDrop())
                await Forget(command.Store).ConfigureAwait(false);
            return DropReply.Dropped;
        }
        catch (Exception e) when (e is (IOException or SqliteException) and not UncertainCommitException)
        {
            return DropReply.NewDropRefused(Refusals.Of(e));
        }
        finally
        {
            _lifecycle.Release();
        }
    }

    /// <summary>Closes every file, then node.db.</summary>
    public void Dispose()
    {
        AwaitQuarantines();
        foreach (var file in Files.All())
            Files.Retire(file).GetAwaiter().GetResult();
        _commits.Dispose();
        _lifecycle.Dispose();
    }

    private async Task<MakeReply> MakeNew(MakeCommand command, StoreHealth health)
    {
        var store = new StoreRegistration(
            command.Store,
            command.Range,
            Mutants.incarnationKept() ? new Guid(command.Store.Shard, 0, 1, new byte[8]) : _newGuid(),
            command.Migration,
            command.Attempt,
            command.Stamp.Epoch
        );
        var file = FileOf(store, health);
        var made = health == StoreHealth.Filling ? StoreState.Filling : StoreState.Serving;
        try
        {
            if (!await MoveOn(command.Stamp, store, StoreState.Making).ConfigureAwait(false))
                return Stale(command);
            _sessions.Forget(store.Store);
            file.Create(Files.FileCacheKiB);
            // A barrier that rose meanwhile was confirmed without this store: it must not begin to serve behind it.
            if (!await MoveOn(command.Stamp, store, made).ConfigureAwait(false))
            {
                await Remove(file).ConfigureAwait(false);
                return Stale(command);
            }
        }
        catch (Exception e) when (e is (IOException or SqliteException) and not UncertainCommitException)
        {
            await Remove(file).ConfigureAwait(false);
            return MakeReply.NewMakeRefused(Refusals.Of(e));
        }

        Files.Add(file);
        return MakeReply.NewMade(store.Incarnation);
    }

    private async Task Remove(ShardFile file)
    {
        await Files.Retire(file).ConfigureAwait(false);
        file.Delete();
        await OnCommit<object?, bool>(
                database =>
                {
                    NodeDatabase.Unregister(database, file.Registration.Store);
                    return null;
                },
                _ => true
            )
            .ConfigureAwait(false);
    }

    /// <summary>What faults make of a drop's stamp: one that is always admitted.</summary>
    private RouteStamp NoEpoch(RouteStamp stamp) => new(stamp.Shard, Math.Max(stamp.Epoch, Barrier(stamp.Shard).Epoch));

    /// <summary>What faults make of the barrier of a shard that is dropped.</summary>
    private Task<bool> Forget(ShardId shard) =>
        OnCommit<object?, bool>(
            database =>
            {
                NodeDatabase.Forget(database, shard);
                return null;
            },
            _ => _barriers.Forget(shard)
        );

    /// <summary>
    /// Registers the store's new state, durably. False, and nothing done: the barrier is above the request. Raises happen
    /// on the same thread, so that none comes between the comparison and the commit.
    /// </summary>
    private Task<bool> MoveOn(RouteStamp stamp, StoreRegistration store, StoreState state) =>
        OnCommit(
            database =>
            {
                using var epoch = database.Prepare(
                    "SELECT epoch FROM barriers WHERE idx = ?1 AND generation = ?2 AND shard = ?3 AND epoch > ?4"
                );
                epoch.BindText(1, System.Text.Encoding.UTF8.GetBytes(stamp.Shard.Index));
                epoch.Bind(2, stamp.Shard.Generation).Bind(3, stamp.Shard.Shard).Bind(4, stamp.Epoch);
                if (epoch.Step())
                    return false;
                NodeDatabase.Register(database, store, state);
                return true;
            },
            static isDone => isDone
        );

    /// <summary>Before anybody is served: what a crash left half made or half dropped goes; what lost its file is quarantined.</summary>
    private void Recover(Database database)
    {
        foreach (var (store, state) in NodeDatabase.Stores(database))
        {
            var file = FileOf(store, HealthOf(state));
            var isKept = state is StoreState.Serving or StoreState.Filling;
            if (isKept && File.Exists(file.Path))
            {
                Files.Add(file);
                continue;
            }

            database.BeginImmediate();
            if (isKept)
                NodeDatabase.Register(database, store, StoreState.Quarantined);
            else if (state != StoreState.Quarantined)
            {
                file.Delete();
                NodeDatabase.Unregister(database, store.Store);
            }

            database.Commit();
            if (isKept)
                _options.Log($"store {store.Store} is quarantined: its file '{file.Path}' is gone");
            if (isKept || state == StoreState.Quarantined)
            {
                file.SetAside();
                Files.Add(FileOf(store, StoreHealth.Quarantined));
            }
        }
    }

    private bool IsNews(RouteStamp stamp, Route? told)
    {
        var barrier = Barrier(stamp.Shard);
        var isNewRoute =
            told is not null
            && stamp.Epoch >= barrier.Epoch
            && (barrier.Told is not { } known || told.Epoch > known.Epoch);
        return stamp.Epoch > barrier.Epoch || isNewRoute;
    }

    private Task<TAnswer> OnCommit<TApplied, TAnswer>(Func<Database, TApplied> apply, Func<TApplied, TAnswer> committed)
    {
        var job = new CommitJob<TApplied, TAnswer>(apply, committed);
        return _commits.TryPost(job)
            ? job.Answer
            : throw new IOException("Too many changes wait for node.db already: try again later.");
    }

    private ShardFile FileOf(StoreRegistration store, StoreHealth health) =>
        new(store, store.PathIn(_directory), _options, _sessions, Counters, health);

    private static StoreHealth HealthOf(StoreState state) =>
        state switch
        {
            StoreState.Filling => StoreHealth.Filling,
            StoreState.Quarantined => StoreHealth.Quarantined,
            _ => StoreHealth.Serving,
        };

    private static MakeReply Refused(string why) => MakeReply.NewMakeRefused(new Refusal(RefusalCode.Failed, why));

    private MakeReply Stale(MakeCommand command) => MakeReply.NewMakeStaleEpoch(Barrier(command.Stamp.Shard).Epoch);

    private static Refusal OtherRange(MakeCommand command, StoreRegistration store) =>
        new(
            RefusalCode.Failed,
            $"store {store.Store} is there with range {store.Range}, and can't be made with {command.Range}: drop it first"
        );
}
