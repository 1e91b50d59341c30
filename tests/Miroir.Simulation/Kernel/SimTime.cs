namespace Miroir.Simulation.Kernel;

/// <summary>Virtual time as one process sees it: everyone's monotonic clock, its own wall clock.</summary>
public sealed class SimTime(SimKernel kernel, SimProcess process) : TimeProvider
{
    /// <summary>How far the wall clock is off; it may jump.</summary>
    public TimeSpan Skew { get; set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    public override long GetTimestamp() => kernel.Now;

    public override DateTimeOffset GetUtcNow() => SimKernel.Epoch + TimeSpan.FromTicks(kernel.Now) + Skew;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimTimer(kernel, process, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class SimTimer(SimKernel kernel, SimProcess process, TimerCallback callback, object? state) : ITimer
    {
        private SimEvent? _due;
        private TimeSpan _period;
        private volatile bool _isDisposed;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            // A killed process's finalizers come from another thread.
            if (_isDisposed || !process.IsAlive)
            {
                return false;
            }
            _due?.Cancel();
            _due = null;
            _period = period;
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                Start(dueTime);
            }
            return true;
        }

        public void Dispose() => _isDisposed = true;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private void Start(TimeSpan delay)
        {
            SimEvent? mine = null;
            mine = new SimEvent(() =>
            {
                if (_isDisposed || !process.IsAlive)
                {
                    return;
                }
                if (_period > TimeSpan.Zero)
                {
                    Start(_period);
                }
                process.Post(() =>
                {
                    if (!_isDisposed && !mine!.IsCancelled)
                    {
                        callback(state);
                    }
                });
            });
            _due = mine;
            kernel.Schedule(mine, delay);
        }
    }
}
