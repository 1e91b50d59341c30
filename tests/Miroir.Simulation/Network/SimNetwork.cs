using Miroir.Ports;
using Miroir.Simulation.Kernel;

namespace Miroir.Simulation.Network;

/// <summary>What is listening at a name now: a process, and what it serves.</summary>
public sealed record Endpoint(SimProcess Process, object Service);

/// <summary>
/// The lines between simulated processes. A call crosses one twice, and either way may lose it, keep it or bring it twice;
/// whoever asked then waits in vain until its own limit, or hears after a while that the line is broken.
/// </summary>
public sealed class SimNetwork(SimKernel kernel)
{
    private const double QuickDelayMs = 2;
    private readonly Dictionary<string, Endpoint> _endpoints = new(StringComparer.Ordinal);
    private readonly HashSet<(string From, string To)> _cut = [];
    private readonly SortedDictionary<string, long> _counts = new(StringComparer.Ordinal);
    private long _calls;

    public FaultProfile Faults { get; set; } = FaultProfile.None;

    /// <summary>Faults that happened, by kind.</summary>
    public IReadOnlyDictionary<string, long> Counts => _counts;

    public SimKernel Kernel => kernel;

    public void Count(string fault, long times = 1) => _counts[fault] = _counts.GetValueOrDefault(fault) + times;

    public void Listen(string name, Endpoint endpoint) => _endpoints[name] = endpoint;

    public Endpoint? Find(string name) =>
        _endpoints.TryGetValue(name, out var endpoint) && endpoint.Process.IsAlive ? endpoint : null;

    public void Cut(string from, string to) => _cut.Add((from, to));

    public void Mend(string from, string to) => _cut.Remove((from, to));

    public void MendAll() => _cut.Clear();

    /// <summary>
    /// Asks what listens at a name. Throws UnreachableException where no answer comes, OperationCanceledException where the
    /// token ends first; what was asked may have been done all the same.
    /// </summary>
    /// <param name="mayRepeat">Whether the port allows the call to be done twice.</param>
    /// <param name="exposure">Its share of the messages that are lost.</param>
    public async Task<T> Call<T>(
        SimProcess from,
        string to,
        string what,
        bool mayRepeat,
        Func<object, CancellationToken, Task<T>> serve,
        CancellationToken cancel,
        double exposure = 1
    )
    {
        cancel.ThrowIfCancellationRequested();
        var call = new SimCall<T>(this, from.Name, to, what, ++_calls, exposure, serve);
        kernel.Trace.Add(1, kernel.Now, call.Id, what.Length);
        using var over = cancel.UnsafeRegister(static (state, token) => ((SimCall<T>)state!).Abandon(token), call);
        call.Send();
        if (mayRepeat && kernel.Chance(Faults.Duplicate))
        {
            Count("duplicate");
            call.Fault("sent twice");
            call.Send();
        }
        return await call.Answer;
    }

    /// <summary>Whether a message on that line is lost, as it is sent or as it arrives.</summary>
    internal bool IsCut(string from, string to) => _cut.Contains((from, to));

    internal TimeSpan Latency()
    {
        if (!kernel.Chance(Faults.Delay))
        {
            return kernel.Duration(0.05, QuickDelayMs);
        }
        Count("delay");
        return kernel.Duration(QuickDelayMs, Faults.MaxDelayMs);
    }
}

/// <summary>Nobody listened: what was asked has certainly not been done.</summary>
public sealed class RefusedException(string peer) : NotSentException(peer, "connection refused", null);

/// <summary>One call on its way.</summary>
internal sealed class SimCall<T>(
    SimNetwork network,
    string from,
    string to,
    string what,
    long id,
    double exposure,
    Func<object, CancellationToken, Task<T>> serve
)
{
    private readonly SimKernel _kernel = network.Kernel;
    private readonly TaskCompletionSource<T> _answer = new();
    private readonly List<(SimProcess Process, CancellationTokenSource Stop)> _serving = [];

    public long Id => id;

    public Task<T> Answer => _answer.Task;

    public void Fault(string fault)
    {
        if (_kernel.Trace.KeepsStory)
        {
            _kernel.Trace.Note(_kernel.Now, "network", $"{from} -> {to} {what}: {fault}");
        }
    }

    public void Send()
    {
        if (network.IsCut(from, to) || _kernel.Chance(network.Faults.LoseRequest * exposure))
        {
            network.Count("request lost");
            Fault("request lost");
            GiveUpLater();
            return;
        }
        _kernel.After(network.Latency(), Deliver);
    }

    /// <summary>The caller waits no longer. The other side hears of it later, or never.</summary>
    public void Abandon(CancellationToken token)
    {
        if (!_answer.TrySetCanceled(token))
        {
            return;
        }
        _kernel.Trace.Add(2, _kernel.Now, id, 0);
        if (network.IsCut(from, to) || _kernel.Chance(0.1))
        {
            return;
        }
        _kernel.After(
            network.Latency(),
            () =>
            {
                foreach (var (process, stop) in _serving)
                {
                    process.Post(stop.Cancel);
                }
            }
        );
    }

    private void Deliver()
    {
        if (network.IsCut(from, to))
        {
            network.Count("request lost");
            Fault("request lost");
            GiveUpLater();
            return;
        }
        if (network.Find(to) is not { } endpoint)
        {
            // The same call sent twice may have got through once.
            Fail(
                network.Latency(),
                _serving.Count == 0 ? new RefusedException(to) : new UnreachableException(to, "connection refused")
            );
            return;
        }
        _kernel.Trace.Add(3, _kernel.Now, id, 0);
        var stop = new CancellationTokenSource();
        var process = endpoint.Process;
        _serving.Add((process, stop));
        var broken = process.OnKill(() =>
            Fail(_kernel.Duration(1, 3_000), new UnreachableException(to, "connection reset"))
        );
        process.Post(() => _ = ServeAsync(process, broken, endpoint.Service, stop.Token));
    }

    private async Task ServeAsync(SimProcess process, long broken, object service, CancellationToken cancel)
    {
        try
        {
            var reply = await serve(service, cancel);
            Reply(() => _answer.TrySetResult(reply));
        }
        catch (OperationCanceledException) when (cancel.IsCancellationRequested)
        {
            // Nobody waits for it any more.
        }
        catch (Exception e)
        {
            if (e is not (UnreachableException or OperationCanceledException))
            {
                _kernel.Failures.Add($"{to}, asked for {what}: {e}");
            }
            Reply(() => _answer.TrySetException(new UnreachableException(to, e.Message)));
        }
        finally
        {
            process.ForgetOnKill(broken);
        }
    }

    private void Reply(Action settle)
    {
        if (network.IsCut(to, from) || _kernel.Chance(network.Faults.LoseReply * exposure))
        {
            network.Count("reply lost");
            Fault("reply lost");
            GiveUpLater();
            return;
        }
        _kernel.After(
            network.Latency(),
            () =>
            {
                _kernel.Trace.Add(4, _kernel.Now, id, 0);
                settle();
            }
        );
    }

    /// <summary>Some broken lines are noticed at once, some late.</summary>
    private void GiveUpLater() =>
        Fail(_kernel.Duration(1, _kernel.Chance(0.8) ? 100 : 8_000), new UnreachableException(to, "no answer"));

    private void Fail(TimeSpan after, Exception why) =>
        _kernel.After(
            after,
            () =>
            {
                if (!_answer.Task.IsCompleted)
                {
                    _kernel.Trace.Add(5, _kernel.Now, id, 0);
                    _answer.TrySetException(why);
                }
            }
        );
}
