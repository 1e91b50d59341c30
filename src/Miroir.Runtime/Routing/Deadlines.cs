namespace Miroir.Runtime.Routing;

/// <summary>Something in flight that wants to know that time passes.</summary>
internal interface ISwept
{
    /// <summary>Called every few dozen milliseconds with the milliseconds on the router's clock.</summary>
    void Sweep(long nowMs);
}

/// <summary>
/// One operation's limit in time. Its token ends every wait of it. Held by the operation and by every call that it
/// still has out, so that an acknowledged write's last put is not cut short; the last to let go closes it.
/// </summary>
internal sealed class Deadline
{
    private readonly Deadlines _owner;
    private readonly CancellationTokenSource _source = new();
    private readonly CancellationTokenRegistration _client;
    private int _holders = 1;

    internal Deadline(Deadlines owner, long dueMs, CancellationToken client)
    {
        _owner = owner;
        DueMs = dueMs;
        Token = _source.Token;
        _client = client.CanBeCanceled
            ? client.UnsafeRegister(static state => ((Deadline)state!)._source.Cancel(), this)
            : default;
    }

    public long DueMs { get; }

    /// <summary>Ends when the time is over, or when the client no longer waits.</summary>
    public CancellationToken Token { get; }

    public bool IsOver => Token.IsCancellationRequested;

    /// <summary>What is in flight under it now.</summary>
    public ISwept? Swept { get; set; }

    internal LinkedListNode<Deadline>? Node { get; set; }

    public void Hold() => Interlocked.Increment(ref _holders);

    public void Release()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
        {
            _client.Dispose();
            _owner.Remove(this);
        }
    }

    internal void Expire() => _source.Cancel();
}

/// <summary>
/// The limits of all open operations, with one timer between them: a timer for each would cost more than the write.
/// </summary>
internal sealed class Deadlines(TimeProvider time, int timeoutMs)
{
    private const int SweepMs = 25;
    private readonly Lock _lock = new();
    private readonly LinkedList<Deadline> _open = new();
    private readonly long _origin = time.GetTimestamp();

    public long NowMs => (long)time.GetElapsedTime(_origin).TotalMilliseconds;

    public Deadline Start(CancellationToken client) => Start(timeoutMs, client);

    /// <summary>With another limit in milliseconds than that of a client's operation.</summary>
    public Deadline Start(int limitMs, CancellationToken client)
    {
        var deadline = new Deadline(this, NowMs + limitMs, client);
        lock (_lock)
        {
            deadline.Node = _open.AddLast(deadline);
        }
        return deadline;
    }

    internal void Remove(Deadline deadline)
    {
        lock (_lock)
        {
            if (deadline.Node is { } node)
            {
                _open.Remove(node);
                deadline.Node = null;
            }
        }
    }

    /// <summary>Runs until the token ends; then everything still open expires.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(SweepMs), time, stop);
                SweepOnce();
            }
        }
        catch (OperationCanceledException)
        {
            foreach (var deadline in Open())
            {
                deadline.Expire();
            }
        }
    }

    private void SweepOnce()
    {
        var now = NowMs;
        foreach (var deadline in Open())
        {
            if (deadline.DueMs <= now)
            {
                Remove(deadline);
                deadline.Expire();
            }
            else
            {
                deadline.Swept?.Sweep(now);
            }
        }
    }

    private Deadline[] Open()
    {
        lock (_lock)
        {
            return _open.Count == 0 ? [] : [.. _open];
        }
    }
}
