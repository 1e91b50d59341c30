using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Stores.Sqlite.Native;

namespace Miroir.Stores.Sqlite;

/// <summary>
/// A node's data directory: node.db (barriers, and which stores there are) and shards/INDEX/GENERATION-SHARD.db, a file for
/// each store. One process at a time has it. Every reply is given after the transaction behind it was synced.
/// </summary>
/// <remarks>
/// Barriers: <see cref="RouteBarrier"/> says why none is passed. Throughput: <see cref="ShardPump"/> commits in groups.
/// A put whose commit failed so that a recovery may still find it throws an IOException instead of a reply: it is
/// unknown, and the caller has to find out.
/// </remarks>
public sealed class SqliteNodeStore : INodeStore
{
    private readonly DirectoryLock _lock;
    private readonly NodeRegistry _registry;
    private readonly WorkerThreads _writers;
    private readonly SqliteNodeStoreOptions _options;
    private readonly ReaderThreads _reads;
    private readonly ShardUpkeep _upkeep;
    private readonly ConditionalWeakTable<ShardFile, ShardPump> _pumps = [];
    private readonly Lock _calls = new();
    private TaskCompletionSource? _lastCall;
    private int _openCalls;

    private SqliteNodeStore(DirectoryLock directoryLock, NodeRegistry registry, SqliteNodeStoreOptions options)
    {
        _lock = directoryLock;
        _registry = registry;
        _options = options;
        _reads = new ReaderThreads(options.MaxConcurrentReads);
        _upkeep = new ShardUpkeep(registry.Files, PumpOf, _reads);
        _writers = new WorkerThreads(options.WriterThreads, "miroir shard writer");
    }

    /// <summary>The scope of the meter on which its stores count.</summary>
    public object Metrics => _registry.Counters;

    /// <summary>Made with the directory, and its own for ever.</summary>
    public Guid NodeId => _registry.NodeId;

    /// <summary>
    /// Opens a data directory, making it where it is absent, and finishes what a crash left half done. Blocks while it
    /// reads node.db.
    /// </summary>
    /// <param name="directory">The node's own.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="entropy">Where incarnations come from; null: the operating system.</param>
    /// <exception cref="IOException">Another process has the directory, or it can't be made.</exception>
    /// <exception cref="InvalidDataException">A newer build wrote it.</exception>
    /// <exception cref="SqliteException">node.db can't be opened.</exception>
    public static SqliteNodeStore Open(
        string directory,
        SqliteNodeStoreOptions? options = null,
        IEntropy? entropy = null
    )
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(directory);
        var chosen = options ?? new SqliteNodeStoreOptions();
        chosen.Check();
        var path = Path.GetFullPath(directory);
        chosen.Names.Create(path);
        var directoryLock = DirectoryLock.Take(path);
        try
        {
            Func<Guid> newGuid = entropy is null ? Guid.NewGuid : entropy.NewGuid;
            return new SqliteNodeStore(directoryLock, new NodeRegistry(path, chosen, newGuid), chosen);
        }
        catch
        {
            directoryLock.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        var barriers = await Admit(commands, static command => command.Stamp).ConfigureAwait(false);
        var replies = new PutReply[commands.Count];
        var byFile = new Dictionary<ShardFile, List<PutJob.Item>>();
        for (var i = 0; i < replies.Length; i++)
        {
            var command = commands[i];
            if (command.Stamp.Epoch < barriers[i].Epoch && !Mutants.epochCheckLeftOut())
                replies[i] = PutReply.NewStaleEpoch(barriers[i].Epoch, barriers[i].ToldOption);
            else if (!_registry.Files.TryGet(command.Store, out var file) || !file.Takes(command.Document))
                replies[i] = PutReply.NotServing;
            else
                ItemsOf(byFile, file, commands.Count).Add(new PutJob.Item(command, barriers[i], i));
        }

        if (byFile.Count == 0)
            return replies;
        var put = new PutCall(replies, byFile.Count, cancel);
        foreach (var (file, items) in byFile)
            PumpOf(file).TryEnqueue(new PutJob(put, items));
        return await put.Done.WaitAsync(cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        var barriers = await Admit(commands, static command => command.Stamp).ConfigureAwait(false);
        var replies = new ReadReply[commands.Count];
        return await _reads
            .Run(() => ShardReads.Read(_registry.Files, commands, barriers, replies), cancel)
            .ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        var raises = commands.Select(command => (command.Stamp, command.Route?.Value)).ToArray();
        try
        {
            await _registry.Raise(raises).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SqliteException or IOException and not UncertainCommitException)
        {
            var refused = BarrierReply.NewBarrierRefused(Refusals.Of(e));
            return Enumerable.Repeat(refused, commands.Count).ToArray();
        }

        var replies = new BarrierReply[commands.Count];
        for (var i = 0; i < replies.Length; i++)
            replies[i] = await ReplyOf(commands[i], cancel).ConfigureAwait(false);
        return replies;
    }

    /// <inheritdoc/>
    public async Task<MakeReply> Make(MakeCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        return await Task.Run(() => _registry.Make(command, cancel), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<DropReply> Drop(DropCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        return await Task.Run(() => _registry.Drop(command, cancel), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<ScanReply> ScanPage(ScanCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        return command.MaxEntries < 1 || (command.WithBodies && command.MaxBytes < 1)
            ? ScanReply.NewScanRefused(EmptyPage.Refusal(command.MaxEntries, command.MaxBytes))
            : await Scan(command.Stamp, command.Store, reader => reader.Page(command), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<ScanReply> ScanRangesPage(RangesCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        return command.MaxEntries < 1
            ? ScanReply.NewScanRefused(EmptyPage.Refusal(command.MaxEntries, 1))
            : await Scan(command.Stamp, command.Store, reader => reader.Page(command), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<StoreStatus[]> Stores(CancellationToken cancel)
    {
        using var call = Enter(cancel);
        return await _reads.Run(() => ShardReads.Status(_registry.Files), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        await _registry.Admit(command.Stamp).ConfigureAwait(false);
        var barrier = _registry.Barrier(command.Stamp.Shard);
        return await _reads
            .Run(() => ShardReads.Digests(_registry.Files, command, barrier), cancel)
            .ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        var barriers = await Admit(commands, static command => command.Stamp).ConfigureAwait(false);
        return await _upkeep.Heal(commands, barriers).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        await _registry.Admit(command.Stamp).ConfigureAwait(false);
        return await _upkeep.Scrub(command, _registry.Barrier(command.Stamp.Shard), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        await _registry.Admit(command.Stamp).ConfigureAwait(false);
        return await _upkeep.Purge(command, _registry.Barrier(command.Stamp.Shard), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        if (command.MaxChanges < 1)
            return ChangesReply.NewChangesRefused(
                new Refusal(RefusalCode.Failed, $"a page holds 1 change or more; asked for {command.MaxChanges}")
            );
        await _registry.Admit(command.Stamp).ConfigureAwait(false);
        var barrier = _registry.Barrier(command.Stamp.Shard);
        return await _reads
            .Run(() => ShardReads.Changes(_registry.Files, command, barrier), cancel)
            .ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        await _registry.Admit(command.Stamp).ConfigureAwait(false);
        return await _upkeep.LogChanges(command, _registry.Barrier(command.Stamp.Shard), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<MakeReply> BeginFill(MakeCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        return await Task.Run(() => _registry.BeginFill(command, cancel), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<ScanReply> ScanFilling(ScanCommand command, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        return await _reads.Run(() => ShardReads.ScanFilling(_registry.Files, command), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<bool> EndFill(ShardId store, Guid incarnation, CancellationToken cancel)
    {
        using var call = Enter(cancel);
        return await Task.Run(() => _registry.EndFill(store, incarnation, cancel), cancel).ConfigureAwait(false);
    }

    /// <summary>Waits for the calls under way (<see cref="SqliteNodeStoreOptions.CloseTimeout"/>), then closes every file.</summary>
    /// <exception cref="TimeoutException">Calls are still under way; the files stay open.</exception>
    public async ValueTask DisposeAsync()
    {
        Task last;
        lock (_calls)
        {
            if (_lastCall is not null)
                return;
            _lastCall = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (_openCalls == 0)
                _lastCall.SetResult();
            last = _lastCall.Task;
        }

        await last.WaitAsync(_options.CloseTimeout).ConfigureAwait(false);
        // Off the caller's thread: closing empties logs, which takes the disk's time.
        await Task.Run(() =>
            {
                _writers.Dispose();
                _registry.Dispose();
                _reads.Dispose();
                _lock.Dispose();
            })
            .ConfigureAwait(false);
    }

    private async Task<ScanReply> Scan(
        RouteStamp stamp,
        ShardId store,
        Func<ShardReader, ScanPage> page,
        CancellationToken cancel
    )
    {
        await _registry.Admit(stamp).ConfigureAwait(false);
        var barrier = _registry.Barrier(stamp.Shard);
        return await _reads
            .Run(() => ShardReads.Scan(_registry.Files, stamp, store, barrier, page), cancel)
            .ConfigureAwait(false);
    }

    private async ValueTask<BarrierReply> ReplyOf(BarrierCommand command, CancellationToken cancel)
    {
        var files = _registry.Files;
        if (files.TryServing(command.Store, out var file) && !file.IsKnown)
        {
            // It counts for a quorum only where its file is the one that was written last.
            var refusal = await _reads
                .Run(() => ShardReads.On<Refusal?>(files, file, static _ => null, static why => why), cancel)
                .ConfigureAwait(false);
            if (refusal is { } why && file.Health == StoreHealth.Serving)
                return BarrierReply.NewBarrierRefused(why);
        }

        var epoch = _registry.Barrier(command.Stamp.Shard).Epoch;
        if (epoch > command.Stamp.Epoch)
            return BarrierReply.NewBarrierAbove(epoch);
        return files.TryServing(command.Store, out file)
            ? BarrierReply.NewConfirmed(file.Registration.Incarnation)
            : BarrierReply.ConfirmedNotServing;
    }

    /// <summary>The barrier that each command has to pass, raised where the command's epoch is newer.</summary>
    private async ValueTask<RouteBarrier[]> Admit<TCommand>(
        IReadOnlyList<TCommand> commands,
        Func<TCommand, RouteStamp> stampOf
    )
    {
        var barriers = new RouteBarrier[commands.Count];
        List<(RouteStamp, Route?)>? raises = null;
        for (var i = 0; i < barriers.Length; i++)
        {
            var stamp = stampOf(commands[i]);
            var isAsBefore = i > 0 && barriers[i - 1].Shard.Equals(stamp.Shard);
            barriers[i] = isAsBefore ? barriers[i - 1] : _registry.Barrier(stamp.Shard);
            if (stamp.Epoch > barriers[i].Epoch && !Mutants.raisingLeftOut())
                (raises ??= []).Add((stamp, null));
        }

        if (raises is not null)
            await _registry.Raise(raises.Distinct().ToArray()).ConfigureAwait(false);
        return barriers;
    }

    private static List<PutJob.Item> ItemsOf(
        Dictionary<ShardFile, List<PutJob.Item>> byFile,
        ShardFile file,
        int capacity
    )
    {
        if (!byFile.TryGetValue(file, out var items))
            byFile.Add(file, items = new List<PutJob.Item>(byFile.Count == 0 ? capacity : 4));
        return items;
    }

    private ShardPump PumpOf(ShardFile file) =>
        _pumps.GetValue(file, key => new ShardPump(key, _registry.Files, _writers, _options));

    private OpenCall Enter(CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        lock (_calls)
        {
            ObjectDisposedException.ThrowIf(_lastCall is not null, this);
            _openCalls++;
        }

        return new OpenCall(this);
    }

    private void Leave()
    {
        lock (_calls)
        {
            if (--_openCalls == 0)
                _lastCall?.TrySetResult();
        }
    }

    private readonly struct OpenCall(SqliteNodeStore store) : IDisposable
    {
        public void Dispose() => store.Leave();
    }
}
