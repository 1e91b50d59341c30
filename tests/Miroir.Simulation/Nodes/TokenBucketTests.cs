using FsCheck;
using FsCheck.Fluent;
using Miroir.Runtime.Nodes;
using NUnit.Framework;
using Config = FsCheck.Config;

namespace Miroir.Simulation.Nodes;

public sealed class TokenBucketTests
{
    /// <summary>A clock that stands until it is moved.</summary>
    private sealed class HandClock : TimeProvider
    {
        private long now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => now;

        public void Move(TimeSpan by) => now += by.Ticks;
    }

    [Test]
    public void WhoeverWaitsAsToldNeverExceedsTheRateByMoreThanABurst()
    {
        var takings =
            from rate in Gen.Choose(1, 5000)
            from burst in Gen.Choose(1, 500)
            from takes in (
                from count in Gen.Choose(1, 800)
                from idleMs in Gen.Choose(0, 300)
                select (count, idleMs)
            ).ArrayOf(20)
            select (rate, burst, takes);
        Check.One(
            Config.QuickThrowOnFailure,
            Prop.ForAll(
                Arb.From(takings),
                run =>
                {
                    var clock = new HandClock();
                    var bucket = new TokenBucket(run.rate, run.burst, clock);
                    var elapsed = TimeSpan.Zero;
                    long taken = 0;
                    foreach (var (count, idleMs) in run.takes)
                    {
                        var wait = bucket.Take(count) + TimeSpan.FromTicks(1);
                        clock.Move(wait);
                        elapsed += wait;
                        taken += count;
                        Assert.That(taken, Is.AtMost(run.burst + (elapsed.TotalSeconds * run.rate) + 1));
                        clock.Move(TimeSpan.FromMilliseconds(idleMs));
                        elapsed += TimeSpan.FromMilliseconds(idleMs);
                    }
                }
            )
        );
    }

    [Test]
    public void ABurstIsFreeAndDebtIsPaidForByTheNext()
    {
        var clock = new HandClock();
        var bucket = new TokenBucket(100, 25, clock);
        Assert.That(bucket.Take(25), Is.EqualTo(TimeSpan.Zero));
        Assert.That(bucket.Take(50), Is.EqualTo(TimeSpan.FromSeconds(0.5)));
        clock.Move(TimeSpan.FromSeconds(0.5));
        Assert.That(bucket.Take(100), Is.EqualTo(TimeSpan.FromSeconds(1)));
        clock.Move(TimeSpan.FromHours(1));
        Assert.That(bucket.Take(26), Is.EqualTo(TimeSpan.FromSeconds(0.01)), "no more than a burst gathers");
    }

    [Test]
    public void WithoutALimitNothingWaits() =>
        Assert.That(new TokenBucket(0, 1, new HandClock()).Take(int.MaxValue), Is.EqualTo(TimeSpan.Zero));
}
