using Miroir.Ports;

namespace Miroir.Simulation.Kernel;

/// <summary>
/// A simulated process: a scheduler of its own on the one thread. Once killed, nothing of it ever runs again: no
/// continuation, no timer, no finally.
/// </summary>
public sealed class SimProcess : TaskScheduler
{
    private readonly SimKernel _kernel;
    private readonly SortedDictionary<long, Action> _onKill = [];
    private long _lastOnKill;
    private readonly List<Task> _held = [];
    private bool _isPaused;

    /// <param name="skew">How far its wall clock is off.</param>
    public SimProcess(SimKernel kernel, string name, TimeSpan skew)
    {
        _kernel = kernel;
        Name = name;
        Time = new SimTime(kernel, this) { Skew = skew };
        Entropy = new SeededEntropy(kernel.Entropy.NextInt64());
    }

    public string Name { get; }

    public SimTime Time { get; }

    public IEntropy Entropy { get; }

    public bool IsAlive { get; private set; } = true;

    public override int MaximumConcurrencyLevel => 1;

    public void Kill()
    {
        IsAlive = false;
        Action[] actions = [.. _onKill.Values];
        _onKill.Clear();
        foreach (var action in actions)
        {
            action();
        }
    }

    /// <summary>Runs nothing until <see cref="Continue"/>; what comes in meanwhile waits.</summary>
    public void Pause() => _isPaused = true;

    public void Continue()
    {
        _isPaused = false;
        foreach (var task in _held)
        {
            _kernel.Enqueue(this, task);
        }
        _held.Clear();
    }

    /// <summary>Called in the kernel when this process is killed, until it is forgotten.</summary>
    public long OnKill(Action action)
    {
        _onKill.Add(++_lastOnKill, action);
        return _lastOnKill;
    }

    public void ForgetOnKill(long action) => _onKill.Remove(action);

    /// <summary>Runs in this process, soon.</summary>
    public void Post(Action action)
    {
        if (IsAlive)
        {
            new Task(action).Start(this);
        }
    }

    /// <summary>Runs in this process, soon; what it throws fails the simulation.</summary>
    public void Spawn(Func<Task> work)
    {
        Post(() => _ = GuardAsync());

        async Task GuardAsync()
        {
            try
            {
                await work();
            }
            catch (Exception e)
            {
                _kernel.Failures.Add($"{Name}: {e}");
            }
        }
    }

    public void Log(string line)
    {
        // What follows the first line are stack traces, which differ with what the compiler inlined.
        var end = line.IndexOf('\n');
        _kernel.Tell(Name, end < 0 ? line : line[..end]);
    }

    internal void Execute(Task task)
    {
        if (_isPaused)
        {
            _held.Add(task);
        }
        else if (IsAlive)
        {
            TryExecuteTask(task);
        }
    }

    protected override void QueueTask(Task task) => _kernel.Enqueue(this, task);

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks() => [];
}
