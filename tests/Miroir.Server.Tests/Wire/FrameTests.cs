using System.Collections;
using System.Reflection;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Reflection;
using Miroir.Core;
using Miroir.Server.Wire;
using NUnit.Framework;

namespace Miroir.Server.Tests.Wire;

/// <summary>Every message survives the wire; nothing else passes for one, and nothing but a WireException comes of it.</summary>
public sealed class FrameTests
{
    private static IEnumerable<TestCaseData> Codecs()
    {
        yield return Case(NodeFrames.PutCommand, WireGen.PutCommand);
        yield return Case(NodeFrames.PutReply, WireGen.PutReply);
        yield return Case(NodeFrames.ReadCommand, WireGen.ReadCommand);
        yield return Case(NodeFrames.ReadReply, WireGen.ReadReply);
        yield return Case(NodeFrames.BarrierCommand, WireGen.BarrierCommand);
        yield return Case(NodeFrames.BarrierReply, WireGen.BarrierReply);
        yield return Case(StoreFrames.MakeCommand, WireGen.MakeCommand);
        yield return Case(StoreFrames.MakeReply, WireGen.MakeReply);
        yield return Case(StoreFrames.DropCommand, WireGen.DropCommand);
        yield return Case(StoreFrames.DropReply, WireGen.DropReply);
        yield return Case(ScanFrames.ScanCommand, WireGen.ScanCommand);
        yield return Case(ScanFrames.ScanReply, WireGen.ScanReply);
        yield return Case(ReconcileFrames.ReconcileCommand, WireGen.ReconcileCommand);
        yield return Case(ReconcileFrames.ReconcileReply, WireGen.ReconcileReply);
        yield return Case(RouterFrames.WriteCommand, WireGen.WriteCommand);
        yield return Case(RouterFrames.WriteOutcome, WireGen.WriteOutcome);
        yield return Case(RouterFrames.InspectCommand, WireGen.PassedInspection);
        yield return Case(RouterFrames.ReadCommand, WireGen.PassedRead);
        yield return Case(RouterFrames.ReadOutcome, WireGen.ReadOutcome);
        yield return Case(EntropyFrames.DigestCommand, WireGen.DigestCommand);
        yield return Case(EntropyFrames.DigestReply, WireGen.DigestReply);
        yield return Case(EntropyFrames.RangesCommand, WireGen.RangesCommand);
        yield return Case(EntropyFrames.HealCommand, WireGen.HealCommand);
        yield return Case(EntropyFrames.HealReply, WireGen.HealReply);
        yield return Case(EntropyFrames.ScrubCommand, WireGen.ScrubCommand);
        yield return Case(EntropyFrames.ScrubReply, WireGen.ScrubReply);
        yield return Case(EntropyFrames.PurgeCommand, WireGen.PurgeCommand);
        yield return Case(EntropyFrames.PurgeReply, WireGen.PurgeReply);
        yield return Case(RepairFrames.RepairCommand, WireGen.PassedRepair);
        yield return Case(RepairFrames.RepairOutcome, WireGen.RepairOutcome);
        yield return Case(FeedFrames.ChangesCommand, WireGen.ChangesCommand);
        yield return Case(FeedFrames.ChangesReply, WireGen.ChangesReply);
        yield return Case(FeedFrames.LogChangesCommand, WireGen.LogChangesCommand);
        yield return Case(FeedFrames.LogChangesReply, WireGen.LogChangesReply);
        yield return Case(FeedFrames.FeedBoundCommand, WireGen.PassedBound);
        yield return Case(FeedFrames.FeedBound, WireGen.FeedBound);
    }

    private static TestCaseData Case<T>(FrameCodec<T> codec, Gen<T> gen) =>
        new TestCaseData(new Subject<T>(codec, gen)).SetArgDisplayNames(codec.Kind.ToString());

    /// <summary>One kind of message, whatever its type.</summary>
    public interface ISubject
    {
        FrameKind Kind { get; }
        void RoundTrips();
        void BreaksCleanly();
    }

    private sealed class Subject<T>(FrameCodec<T> codec, Gen<T> gen) : ISubject
    {
        private static readonly FsCheck.Config Quick = FsCheck
            .Config.QuickThrowOnFailure.WithMaxTest(150)
            .WithEndSize(20);

        public FrameKind Kind => codec.Kind;

        public void RoundTrips() =>
            Prop.ForAll(
                    gen.ArrayOf().ToArbitrary(),
                    values =>
                    {
                        var back = codec.ReadAll(Encode(values), values.Length);
                        return Shape(back) == Shape(values);
                    }
                )
                .Check(Quick);

        public void BreaksCleanly()
        {
            var damage =
                from value in gen
                from at in Gen.Choose(0, int.MaxValue)
                from with in Gen.Choose(1, 255)
                select (value, at, with);
            Prop.ForAll(
                    damage.ToArbitrary(),
                    d =>
                    {
                        var whole = Encode([d.value]);
                        // Cut off anywhere: it is truncated, and nothing else.
                        var cut = Fault(whole.AsSpan(0, 1 + d.at % (whole.Length - 1)));
                        // A byte changed: another message, or a fault; never another exception.
                        whole[d.at % whole.Length] ^= (byte)d.with;
                        Fault(whole);
                        return cut == WireFault.Truncated;
                    }
                )
                .Check(Quick);
        }

        private byte[] Encode(T[] values)
        {
            using var writer = new FrameWriter(16);
            foreach (var value in values)
                codec.Write(writer, value);
            return writer.Written.ToArray();
        }

        private WireFault? Fault(ReadOnlySpan<byte> bytes)
        {
            try
            {
                codec.ReadAll(bytes, int.MaxValue);
                return null;
            }
            catch (WireException e)
            {
                return e.Fault;
            }
        }
    }

    [TestCaseSource(nameof(Codecs))]
    public void EveryMessageRoundTrips(ISubject subject) => subject.RoundTrips();

    [TestCaseSource(nameof(Codecs))]
    public void DamagedFramesGiveTheDocumentedError(ISubject subject) => subject.BreaksCleanly();

    [Test]
    public void EveryKindHasItsCodecAndItsNumber()
    {
        var kinds = Codecs().Select(c => ((ISubject)c.Arguments[0]!).Kind).Append(FrameKind.EndOfStream).ToArray();
        Assert.That(kinds, Is.EquivalentTo(Enum.GetValues<FrameKind>()));
        // Frozen: a number that changes here breaks clusters of mixed builds.
        Assert.That(
            Enum.GetValues<FrameKind>().Select(k => $"{(int)k} {k}"),
            Is.EqualTo(
                (string[])
                    [
                        "1 PutCommand",
                        "2 PutReply",
                        "3 ReadCommand",
                        "4 ReadReply",
                        "5 BarrierCommand",
                        "6 BarrierReply",
                        "7 MakeCommand",
                        "8 MakeReply",
                        "9 DropCommand",
                        "10 DropReply",
                        "11 ScanCommand",
                        "12 ScanReply",
                        "13 ReconcileCommand",
                        "14 ReconcileReply",
                        "15 WriteCommand",
                        "16 WriteOutcome",
                        "17 WriterReadCommand",
                        "18 ReadOutcome",
                        "19 EndOfStream",
                        "20 InspectCommand",
                        "21 DigestCommand",
                        "22 DigestReply",
                        "23 RangesCommand",
                        "24 HealCommand",
                        "25 HealReply",
                        "26 ScrubCommand",
                        "27 ScrubReply",
                        "28 PurgeCommand",
                        "29 PurgeReply",
                        "30 RepairCommand",
                        "31 RepairOutcome",
                        "32 ChangesCommand",
                        "33 ChangesReply",
                        "34 LogChangesCommand",
                        "35 LogChangesReply",
                        "36 FeedBoundCommand",
                        "37 FeedBound",
                    ]
            )
        );
    }

    [Test]
    public void APutCommandHasTheseBytes()
    {
        // Frozen like the numbers: what a build of the first day sends.
        var document = Document.Tombstone(Key.Of("a"), new DocumentVersion(1, 2), Guid.Empty, Origin.Client);
        var shard = new ShardId("i", 1, 3);
        using var writer = new FrameWriter();
        NodeFrames.PutCommand.Write(writer, new PutCommand(new RouteStamp(shard, 4), shard, document));
        Assert.That(
            Convert.ToHexString(writer.Written.Span),
            Is.EqualTo(
                "5B0000000101"
                    + "0100690100000003000000"
                    + "0400000000000000"
                    + "0100690100000003000000"
                    + "0100000061"
                    + "01000000000000000200000000000000"
                    + "01"
                    + Lanes(Digest.Tombstone)
                    + "00000000000000000000000000000000"
                    + "00"
                    + "00000000"
            )
        );
    }

    [TestCase("03000000020A01", WireFault.UnknownVersion)]
    [TestCase("03000000010101", WireFault.UnexpectedKind)]
    [TestCase("0100000001", WireFault.BadValue)]
    [TestCase("FFFFFFFF", WireFault.BadValue)]
    [TestCase("0100000401", WireFault.TooLarge)]
    [TestCase("04000000010A0100", WireFault.TrailingBytes)]
    [TestCase("03000000010A09", WireFault.BadValue)]
    [TestCase("03000000010A", WireFault.Truncated)]
    [TestCase("0300", WireFault.Truncated)]
    public void WrongFrames(string hex, WireFault expected)
    {
        var error = Assert.Throws<WireException>(() => StoreFrames.DropReply.ReadAll(Convert.FromHexString(hex), 1));
        Assert.That(error!.Fault, Is.EqualTo(expected));
    }

    [Test]
    public void TooManyMessagesAreRefused()
    {
        using var writer = new FrameWriter();
        for (var i = 0; i < 3; i++)
            StoreFrames.DropReply.Write(writer, DropReply.Dropped);
        var bytes = writer.Written.ToArray();
        Assert.That(StoreFrames.DropReply.ReadAll(bytes, 3), Has.Length.EqualTo(3));
        var error = Assert.Throws<WireException>(() => StoreFrames.DropReply.ReadAll(bytes, 2));
        Assert.That(error!.Fault, Is.EqualTo(WireFault.TooLarge));
    }

    [Test]
    public void AMessageThatDoesNotFitLeavesTheBufferAsItWas()
    {
        using var writer = new FrameWriter();
        StoreFrames.DropReply.Write(writer, DropReply.Dropped);
        var before = writer.Length;
        var shard = new ShardId(new string('x', 600), 1, 0);
        Assert.Throws<WireException>(() =>
            NodeFrames.ReadCommand.Write(writer, new ReadCommand(new RouteStamp(shard, 1), shard, Key.Of("a")))
        );
        Assert.That(writer.Length, Is.EqualTo(before));
    }

    [Test]
    public void LongWordsAreCutAtACharacter()
    {
        var reply = PutReply.NewRefused(new Refusal(RefusalCode.Failed, string.Concat(Enumerable.Repeat("🚀é", 5000))));
        using var writer = new FrameWriter();
        NodeFrames.PutReply.Write(writer, reply);
        var back = (PutReply.Refused)NodeFrames.PutReply.ReadAll(writer.Written.Span, 1)[0];
        Assert.That(back.Item.Message, Has.Length.GreaterThan(1000).And.StartsWith("🚀é🚀é"));
        Assert.That(reply.ToString(), Does.Contain(back.Item.Message[..100]));
    }

    private static string Lanes(Digest digest) =>
        Convert.ToHexString([.. BitConverter.GetBytes(digest.A), .. BitConverter.GetBytes(digest.B)]);

    /// <summary>A value with everything in it, as text: records, unions, arrays, bytes, documents.</summary>
    internal static string Shape(object? value)
    {
        switch (value)
        {
            case null:
                return "null";
            case string or Guid or Enum or bool:
                return $"<{value}>";
            case ReadOnlyMemory<byte> bytes:
                return Convert.ToHexString(bytes.Span);
            case Key key:
                return Convert.ToHexString(key.Span);
            case IEnumerable many:
                return $"[{string.Join(",", many.Cast<object?>().Select(Shape))}]";
        }
        var type = value.GetType();
        if (type.IsPrimitive)
            return $"{value}";
        var name = type.Name;
        if (FSharpType.IsUnion(type, null))
            name = FSharpValue.GetUnionFields(value, type, null).Item1.Name;
        var fields = type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
        return $"{name}({string.Join(",", fields.OrderBy(f => f.Name, StringComparer.Ordinal).Select(f => Shape(f.GetValue(value))))})";
    }
}
