using Miroir.Core;
using Miroir.Ports;

namespace Miroir.Stores.Memory;

/// <summary>What goes wrong before a store, and how often. Probabilities are 0 to 1, drawn for each call or put.</summary>
public sealed record FaultPlan
{
    public static FaultPlan None { get; } = new();

    /// <summary>Of each put on its own: refused with <see cref="RefusalCode.Injected"/>, and not applied.</summary>
    public double RefusePut { get; init; }

    /// <summary>The same for each store by itself; null: <see cref="RefusePut"/> for all of them.</summary>
    public Func<ShardId, double>? RefusePutInto { get; init; }

    /// <summary>
    /// The disk is full: nothing is put, made or raised, each refused with <see cref="RefusalCode.DiskFull"/>, while reads
    /// and drops go on.
    /// </summary>
    public bool IsFull { get; init; }

    /// <summary>Of each call that puts: all of it is applied, and its reply never comes.</summary>
    public double LosePutReply { get; init; }

    /// <summary>Of each call: it waits up to <see cref="MaxDelay"/> before it reaches the store.</summary>
    public double DelayCall { get; init; }

    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Puts fail only in stores that were made for a migration (Migration above 0), not in an index's first ones.</summary>
    public bool OnlyMigrationStores { get; init; }

    /// <summary>A put that reaches the store late; null: none.</summary>
    public HeldPut? Held { get; init; }
}

/// <summary>
/// The first put of a document waits until then, whatever its caller's limit, and only then reaches the store; those that
/// come for the document meanwhile are refused with <see cref="RefusalCode.Injected"/>.
/// </summary>
public sealed class HeldPut(Key key, Task until)
{
    private int isTaken;

    internal Task Until => until;

    internal bool IsAbout(PutCommand command) => !until.IsCompleted && command.Document.Key.Equals(key);

    internal bool TryTake() => Interlocked.Exchange(ref isTaken, 1) == 0;
}

/// <summary>
/// A store behind which the disk misbehaves as a plan says: it delays, refuses, and loses replies after applying. For
/// test harnesses; it adds no fault of its own while the plan is <see cref="FaultPlan.None"/>.
/// </summary>
public sealed class FaultyNodeStore(INodeStore inner, FaultPlan plan, IEntropy entropy, TimeProvider time) : INodeStore
{
    private readonly Lock gate = new();
    private readonly Dictionary<ShardId, long> refusedByStore = [];
    private volatile FaultPlan plan = plan;
    private volatile IReadOnlySet<ShardId>? migrationStores;
    private long refusedPuts;
    private long refusedWhileFull;
    private long lostReplies;
    private long held;
    private long refusedLate;

    /// <summary>May be replaced at any time; calls already under way keep the one they began with.</summary>
    public FaultPlan Plan
    {
        get => plan;
        set => plan = value;
    }

    /// <summary>Puts refused so far.</summary>
    public long RefusedPuts => Interlocked.Read(ref refusedPuts);

    /// <summary>Puts, makings and raisings refused so far because the disk was full.</summary>
    public long RefusedWhileFull => Interlocked.Read(ref refusedWhileFull);

    /// <summary>Puts refused so far, by store; none because the disk was full.</summary>
    public IReadOnlyDictionary<ShardId, long> RefusedByStore
    {
        get
        {
            lock (gate)
            {
                return new Dictionary<ShardId, long>(refusedByStore);
            }
        }
    }

    /// <summary>Calls that were applied and never answered.</summary>
    public long LostReplies => Interlocked.Read(ref lostReplies);

    /// <summary>Puts that were, or still are, held back.</summary>
    public long Held => Interlocked.Read(ref held);

    /// <summary>Puts that were held back, and then refused since their route had ended meanwhile.</summary>
    public long RefusedLate => Interlocked.Read(ref refusedLate);

    public async Task<PutReply[]> Put(IReadOnlyList<PutCommand> commands, CancellationToken cancel)
    {
        var current = plan;
        await Delay(current, cancel);
        if (current.IsFull)
        {
            var full = PutReply.NewRefused(Full(commands.Count));
            return [.. Enumerable.Repeat(full, commands.Count)];
        }

        var afflicted = current.OnlyMigrationStores ? await MigrationStores(cancel) : null;
        var replies = new PutReply[commands.Count];
        var passed = new List<PutCommand>(commands.Count);
        int? late = null;
        for (var i = 0; i < replies.Length; i++)
        {
            var chance = current.RefusePutInto?.Invoke(commands[i].Store) ?? current.RefusePut;
            if (current.Held?.IsAbout(commands[i]) == true)
            {
                if (late is null && current.Held.TryTake())
                {
                    late = i;
                }
                else
                {
                    replies[i] = Refuse(commands[i]);
                }
            }
            else if (afflicted?.Contains(commands[i].Store) != false && Happens(chance))
            {
                replies[i] = Refuse(commands[i]);
            }
            else
            {
                passed.Add(commands[i]);
            }
        }

        var answered = passed.Count == 0 ? [] : await inner.Put(passed, cancel);
        if (late is { } at)
        {
            replies[at] = await PutLate(commands[at], current.Held!.Until);
        }

        var next = 0;
        for (var i = 0; i < replies.Length; i++)
        {
            replies[i] ??= answered[next++];
        }

        var mayLose = afflicted is null || passed.Exists(command => afflicted.Contains(command.Store));
        if (passed.Count > 0 && mayLose && Happens(current.LosePutReply))
        {
            Interlocked.Increment(ref lostReplies);
            throw new UnreachableException(
                "store",
                "the reply was lost after the puts were applied, as the fault plan asks"
            );
        }

        return replies;
    }

    public async Task<ReadReply[]> Read(IReadOnlyList<ReadCommand> commands, CancellationToken cancel)
    {
        await Delay(plan, cancel);
        return await inner.Read(commands, cancel);
    }

    public async Task<BarrierReply[]> RaiseBarriers(IReadOnlyList<BarrierCommand> commands, CancellationToken cancel)
    {
        var current = plan;
        await Delay(current, cancel);
        if (!current.IsFull)
        {
            return await inner.RaiseBarriers(commands, cancel);
        }

        var full = BarrierReply.NewBarrierRefused(Full(commands.Count));
        return [.. Enumerable.Repeat(full, commands.Count)];
    }

    public async Task<MakeReply> Make(MakeCommand command, CancellationToken cancel)
    {
        var current = plan;
        await Delay(current, cancel);
        if (current.IsFull)
        {
            return MakeReply.NewMakeRefused(Full(1));
        }

        var reply = await inner.Make(command, cancel);
        migrationStores = null;
        return reply;
    }

    public async Task<DropReply> Drop(DropCommand command, CancellationToken cancel)
    {
        await Delay(plan, cancel);
        var reply = await inner.Drop(command, cancel);
        migrationStores = null;
        return reply;
    }

    public async Task<ScanReply> ScanPage(ScanCommand command, CancellationToken cancel)
    {
        await Delay(plan, cancel);
        return await inner.ScanPage(command, cancel);
    }

    public async Task<ScanReply> ScanRangesPage(RangesCommand command, CancellationToken cancel)
    {
        await Delay(plan, cancel);
        return await inner.ScanRangesPage(command, cancel);
    }

    /// <summary>As the store says it, what was refused here added to its failed puts.</summary>
    public async Task<StoreStatus[]> Stores(CancellationToken cancel)
    {
        var stores = await inner.Stores(cancel);
        lock (gate)
        {
            return Array.ConvertAll(stores, WithRefused);
        }
    }

    public async Task<DigestReply> Digests(DigestCommand command, CancellationToken cancel)
    {
        await Delay(plan, cancel);
        return await inner.Digests(command, cancel);
    }

    public async Task<HealReply[]> Heal(IReadOnlyList<HealCommand> commands, CancellationToken cancel)
    {
        var current = plan;
        await Delay(current, cancel);
        return current.IsFull
            ? [.. Enumerable.Repeat(HealReply.NewHealRefused(Full(commands.Count)), commands.Count)]
            : await inner.Heal(commands, cancel);
    }

    public async Task<ScrubReply> Scrub(ScrubCommand command, CancellationToken cancel)
    {
        await Delay(plan, cancel);
        return await inner.Scrub(command, cancel);
    }

    public async Task<PurgeReply> Purge(PurgeCommand command, CancellationToken cancel)
    {
        await Delay(plan, cancel);
        return await inner.Purge(command, cancel);
    }

    public async Task<ChangesReply> Changes(ChangesCommand command, CancellationToken cancel)
    {
        await Delay(plan, cancel);
        return await inner.Changes(command, cancel);
    }

    public async Task<LogChangesReply> LogChanges(LogChangesCommand command, CancellationToken cancel)
    {
        var current = plan;
        await Delay(current, cancel);
        return current.IsFull ? LogChangesReply.NewLogRefused(Full(1)) : await inner.LogChanges(command, cancel);
    }

    public async Task<MakeReply> BeginFill(MakeCommand command, CancellationToken cancel)
    {
        var current = plan;
        await Delay(current, cancel);
        return current.IsFull ? MakeReply.NewMakeRefused(Full(1)) : await inner.BeginFill(command, cancel);
    }

    public async Task<ScanReply> ScanFilling(ScanCommand command, CancellationToken cancel)
    {
        await Delay(plan, cancel);
        return await inner.ScanFilling(command, cancel);
    }

    public Task<bool> EndFill(ShardId store, Guid incarnation, CancellationToken cancel) =>
        inner.EndFill(store, incarnation, cancel);

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private StoreStatus WithRefused(StoreStatus status) =>
        new(
            status.Store,
            status.Range,
            status.Incarnation,
            status.Migration,
            status.Attempt,
            status.Documents,
            status.Tombstones,
            status.Bytes,
            status.FailedPuts + refusedByStore.GetValueOrDefault(status.Store),
            status.Health
        );

    private async Task<PutReply> PutLate(PutCommand command, Task until)
    {
        Interlocked.Increment(ref held);
        await until;
        // Whoever sent it has long given up: it arrives all the same.
        var reply = (await inner.Put([command], CancellationToken.None))[0];
        if (reply.IsStaleEpoch || reply.IsNotServing)
        {
            Interlocked.Increment(ref refusedLate);
        }

        return reply;
    }

    private PutReply Refuse(PutCommand command)
    {
        Interlocked.Increment(ref refusedPuts);
        lock (gate)
        {
            refusedByStore[command.Store] = refusedByStore.GetValueOrDefault(command.Store) + 1;
        }

        return PutReply.NewRefused(
            new Refusal(RefusalCode.Injected, $"put of \"{command.Document.Key}\" refused, as the fault plan asks")
        );
    }

    private Refusal Full(int refused)
    {
        Interlocked.Add(ref refusedWhileFull, refused);
        return new Refusal(RefusalCode.DiskFull, "the disk is full, as the fault plan asks");
    }

    /// <summary>Asked for again after each making and dropping: only then can it change.</summary>
    private async Task<IReadOnlySet<ShardId>> MigrationStores(CancellationToken cancel)
    {
        if (migrationStores is { } known)
        {
            return known;
        }

        var stores = await inner.Stores(cancel);
        var made = stores.Where(store => store.Migration > 0).Select(store => store.Store).ToHashSet();
        migrationStores = made;
        return made;
    }

    private bool Happens(double probability) => probability > 0 && entropy.NextDouble() < probability;

    private Task Delay(FaultPlan current, CancellationToken cancel) =>
        Happens(current.DelayCall)
            ? Task.Delay(current.MaxDelay * entropy.NextDouble(), time, cancel)
            : Task.CompletedTask;
}
