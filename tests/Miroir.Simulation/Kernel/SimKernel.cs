using Miroir.Ports;

namespace Miroir.Simulation.Kernel;

/// <summary>
/// One thread, one virtual clock, one seed. What is runnable runs in an order that the seed decides; time moves only
/// when nothing is.
/// </summary>
public sealed class SimKernel
{
    /// <summary>Where every simulation's clock begins: 2025-01-01.</summary>
    public static readonly DateTimeOffset Epoch = new(2025, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly List<(SimProcess Process, Task Task)> _runnable = [];
    private readonly PriorityQueue<SimEvent, (long At, long Order)> _events = new();
    private readonly Lock _lock = new();
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly IEntropy _order;
    private readonly bool _isShuffled;
    private long _sequence;
    private int _next;

    /// <param name="seed">Decides the order, and everything drawn from <see cref="Entropy"/>.</param>
    /// <param name="trace">Takes down what happens.</param>
    public SimKernel(long seed, Trace trace)
    {
        Trace = trace;
        Entropy = new SeededEntropy(seed);
        _order = new SeededEntropy(seed ^ 0x5DEECE66DL);
        _isShuffled = _order.NextDouble() < 0.7;
    }

    public Trace Trace { get; }

    /// <summary>What the network and the faults draw from.</summary>
    public IEntropy Entropy { get; }

    /// <summary>Ticks of 100 ns since the start.</summary>
    public long Now { get; private set; }

    /// <summary>Tasks run so far.</summary>
    public long Steps { get; private set; }

    /// <summary>Where something came back from another thread: the simulated code has left the simulation.</summary>
    public List<string> Escapes { get; } = [];

    /// <summary>Exceptions that nobody was there to catch.</summary>
    public List<string> Failures { get; } = [];

    public double NextDouble() => Entropy.NextDouble();

    public bool Chance(double probability) => probability > 0 && Entropy.NextDouble() < probability;

    /// <summary>Uniform from <paramref name="low"/> to <paramref name="high"/>, exclusive.</summary>
    public int Between(int low, int high) => low + (int)(Entropy.NextDouble() * (high - low));

    public T Pick<T>(IReadOnlyList<T> among) => among[Between(0, among.Count)];

    public TimeSpan Duration(double lowMs, double highMs) =>
        TimeSpan.FromMilliseconds(lowMs + (Entropy.NextDouble() * (highMs - lowMs)));

    /// <summary>Calls back in the kernel, outside of every process: it must touch no simulated code but by Post.</summary>
    public SimEvent After(TimeSpan delay, Action action)
    {
        var due = new SimEvent(action);
        Schedule(due, delay);
        return due;
    }

    public void Tell(string who, string what) => Trace.Tell(Now, who, what);

    internal void Schedule(SimEvent due, TimeSpan delay) =>
        _events.Enqueue(due, (Now + Math.Max(0, delay.Ticks), ++_sequence));

    internal void Enqueue(SimProcess process, Task task)
    {
        if (!process.IsAlive)
        {
            return;
        }
        lock (_lock)
        {
            if (Environment.CurrentManagedThreadId != _thread)
            {
                Escapes.Add($"{process.Name}: continued by another thread:\n{Environment.StackTrace}");
            }
            _runnable.Add((process, task));
        }
    }

    /// <summary>Runs until the condition holds (true), or nothing is left to happen within the limit (false).</summary>
    public bool RunUntil(Func<bool> isOver, TimeSpan limit)
    {
        while (!isOver())
        {
            if (TryTake(out var process, out var task))
            {
                Steps++;
                process.Execute(task);
                continue;
            }
            if (!_events.TryPeek(out var due, out var when) || when.At > limit.Ticks)
            {
                return false;
            }
            _events.Dequeue();
            if (!due.IsCancelled)
            {
                Now = Math.Max(Now, when.At);
                due.Action();
            }
        }
        return true;
    }

    private bool TryTake(out SimProcess process, out Task task)
    {
        lock (_lock)
        {
            if (_next == _runnable.Count)
            {
                _runnable.Clear();
                _next = 0;
                process = null!;
                task = null!;
                return false;
            }
            if (_isShuffled)
            {
                var last = _runnable.Count - 1;
                var picked = _next + (int)(_order.NextDouble() * (_runnable.Count - _next));
                (process, task) = _runnable[picked];
                _runnable[picked] = _runnable[last];
                _runnable.RemoveAt(last);
            }
            else
            {
                (process, task) = _runnable[_next++];
            }
            return true;
        }
    }
}

/// <summary>Something due at a virtual time.</summary>
public sealed class SimEvent(Action action)
{
    public Action Action { get; } = action;

    public bool IsCancelled { get; private set; }

    public void Cancel() => IsCancelled = true;
}
