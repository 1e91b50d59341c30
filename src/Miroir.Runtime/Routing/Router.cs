using Miroir.Core;
using Miroir.Ports;
using Miroir.Runtime.Feed;

namespace Miroir.Runtime.Routing;

/// <summary>
/// A router: takes documents' writes and reads from clients and other routers, and is the writer of the shards whose
/// routes name it (protocol.md, section 2). Each start of it is another incarnation.
/// </summary>
public sealed class Router : IDocuments, IChangeFeed, IRouterPeer, IAsyncDisposable
{
    private readonly RouterContext _context;
    private readonly ShardWriters _writers;
    private readonly DocumentWriter _documents;
    private readonly BatchWriter _batches;
    private readonly DocumentReader _reader;
    private readonly Listing _listing;
    private readonly Repairs _repairs;
    private readonly OpenWrites _open;
    private readonly FeedBounds _bounds;
    private readonly ChangeFeed _feed;
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private int _state;

    /// <summary>Nothing happens before <see cref="StartAsync"/>. Throws where an option makes no sense.</summary>
    public Router(
        RouterOptions options,
        ICoordinator coordinator,
        INodeDirectory nodes,
        IRouterDirectory routers,
        TimeProvider time,
        IEntropy entropy,
        Action<string> log
    )
    {
        options.Validate();
        Incarnation = entropy.NextInt64();
        var follower = new TableFollower(options, Incarnation, coordinator, time, entropy, log);
        _context = new RouterContext(options, Incarnation, follower, nodes, time, entropy, log);
        _writers = new ShardWriters(_context);
        var forwarder = new Forwarder(_context, routers);
        var pipeline = new WritePipeline(_context, _writers, forwarder);
        _documents = new DocumentWriter(_context, _writers, pipeline, forwarder);
        _batches = new BatchWriter(_context, _documents, forwarder);
        _reader = new DocumentReader(_context, _writers, pipeline, forwarder);
        _listing = new Listing(_context, this);
        _repairs = new Repairs(_context, _writers);
        _open = new OpenWrites(_context, _writers);
        _bounds = new FeedBounds(_context, _writers, routers);
        _feed = new ChangeFeed(_context, _bounds);
        follower.OnChange = _writers.OnChange;
        follower.OnDeposed = _writers.CloseAll;
    }

    /// <summary>Which start of this router it is; above zero.</summary>
    public long Incarnation { get; }

    /// <summary>True once another start of the same name is the live one: it passes writes on, and writes no more.</summary>
    public bool IsDeposed => _context.Follower.IsDeposed;

    public RouterCounters Counters => _context.Counters;

    public RoutingTable Table => _context.Table;

    /// <summary>
    /// Registers with the coordinator, then follows its table. Ends when it is registered; where the coordinator is
    /// away it goes on trying until the token ends.
    /// </summary>
    public async Task StartAsync(CancellationToken cancel)
    {
        if (Interlocked.CompareExchange(ref _state, 1, 0) != 0)
        {
            throw new InvalidOperationException("a router is started once; make another one");
        }
        await _context.Follower.RegisterAsync(cancel);
        _running = Task.WhenAll(
            _context.Deadlines.RunAsync(_stop.Token),
            QuietlyAsync(_context.Follower.HeartbeatsAsync(_stop.Token)),
            QuietlyAsync(_context.Follower.WatchAsync(_stop.Token)),
            _writers.SettleAsync(_stop.Token)
        );
    }

    /// <summary>Begins nothing more, and ends what is open: as Unknown where something was sent.</summary>
    public async Task StopAsync()
    {
        if (Interlocked.Exchange(ref _state, 2) == 2)
        {
            return;
        }
        _context.IsStopping = true;
        _writers.CloseAll();
        _stop.Cancel();
        await _running;
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    /// <inheritdoc/>
    public Task<WriteOutcome[]> Write(IReadOnlyList<WriteCommand> commands, CancellationToken cancel) =>
        commands.Count == 0 ? Task.FromResult<WriteOutcome[]>([]) : _batches.WriteAsync(commands, cancel);

    /// <inheritdoc/>
    public Task<ReadOutcome> Read(string index, Key key, Consistency consistency, CancellationToken cancel) =>
        _reader.ReadAsync(index, key, consistency, cancel);

    /// <inheritdoc/>
    public Task<AdminReply<DocumentPage>> List(string index, long offset, int limit, CancellationToken cancel) =>
        _listing.ListAsync(index, offset, limit, cancel);

    /// <inheritdoc/>
    public Task<AdminReply<long>> DeleteAll(string index, CancellationToken cancel) =>
        _listing.DeleteAllAsync(index, cancel);

    /// <inheritdoc/>
    public Task<AdminReply<IndexStatistics>> Statistics(string index, CancellationToken cancel) =>
        _listing.StatisticsAsync(index, cancel);

    /// <inheritdoc/>
    public Task<AdminReply<FeedBatch>> Read(FeedRequest request, CancellationToken cancel) =>
        _feed.Read(request, cancel);

    /// <summary>Throws OperationCanceledException where the token ends first.</summary>
    public async Task WaitForRevision(long revision, CancellationToken cancel)
    {
        if (!await _context.Follower.WaitForAsync(table => table.Revision >= revision, cancel))
        {
            cancel.ThrowIfCancellationRequested();
        }
    }

    async Task<WriteOutcome[]> IRouterPeer.Write(
        IReadOnlyList<WriteCommand> commands,
        long minRevision,
        CancellationToken cancel
    )
    {
        if (!await ReachesAsync(minRevision, cancel))
        {
            return [.. Enumerable.Repeat(Forwarder.NotTheWriter, commands.Count)];
        }
        return await _batches.WriteAsWriterAsync(commands, cancel);
    }

    async Task<ReadOutcome> IRouterPeer.ReadAtWriter(string index, Key key, long minRevision, CancellationToken cancel)
    {
        if (!await ReachesAsync(minRevision, cancel))
        {
            return ReadOutcome.NewUnavailable($"its table did not reach revision {minRevision} in time");
        }
        return await _reader.ReadAsWriterAsync(index, key, cancel);
    }

    async Task<WriteOutcome> IRouterPeer.Inspect(
        InspectCommand inspected,
        long minRevision,
        CancellationToken cancel
    ) =>
        await ReachesAsync(minRevision, cancel)
            ? await _documents.InspectAsync(inspected, cancel)
            : Forwarder.NotTheWriter;

    async Task<RepairOutcome[]> IRouterPeer.Repair(RepairCommand command, long minRevision, CancellationToken cancel) =>
        await ReachesAsync(minRevision, cancel)
            ? await _repairs.RepairAsync(command, cancel)
            :
            [
                .. Enumerable.Repeat(
                    RepairOutcome.NewNotRepaired($"its table did not reach revision {minRevision} in time"),
                    command.Keys.Length
                ),
            ];

    async Task<FeedBound[]> IRouterPeer.FeedBounds(
        IReadOnlyList<ShardId> shards,
        long minRevision,
        CancellationToken cancel
    ) =>
        await ReachesAsync(minRevision, cancel)
            ? _bounds.Own(shards)
            : [.. Enumerable.Repeat(FeedBound.NotTheWriter, shards.Count)];

    Task<long> IRouterPeer.Incarnation(CancellationToken cancel) => Task.FromResult(Incarnation);

    /// <inheritdoc/>
    public Task<Core.Cutover.OpenWrites> Drain(RouteStamp stamp, CancellationToken cancel) =>
        _open.DrainAsync(stamp, cancel);

    /// <inheritdoc/>
    public Task<OpenWriteView[]> OpenWrites(CancellationToken cancel) => Task.FromResult(_open.All());

    /// <inheritdoc/>
    public Task<OpenWriteView[]> FailWrites(FailWritesRequest request, CancellationToken cancel) =>
        Task.FromResult(_open.GiveUp(request));

    private async ValueTask<bool> ReachesAsync(long revision, CancellationToken cancel)
    {
        if (Table.Revision >= revision)
        {
            return true;
        }
        // Well within the asking router's own limit, so that it can still resolve again.
        using var limit = new CancellationTokenSource(
            TimeSpan.FromMilliseconds(_context.Options.OperationTimeoutMs / 4.0),
            _context.Time
        );
        using var link = cancel.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit);
        return await _context.Follower.WaitForAsync(table => table.Revision >= revision, limit.Token);
    }

    private static async Task QuietlyAsync(Task loop)
    {
        try
        {
            await loop;
        }
        catch (OperationCanceledException)
        {
            // Stopped.
        }
    }
}
