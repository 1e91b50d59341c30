using Microsoft.FSharp.Core;
using Miroir.Core;

namespace Miroir.Server.Wire;

/// <summary>One case of a union on the wire: its number, and how its fields follow it.</summary>
internal abstract class UnionCase<T>(byte number)
{
    public byte Number => number;

    /// <summary>Writes number and fields; false, and nothing written, where the value is another case.</summary>
    public abstract bool TryWrite(FrameWriter writer, T value);

    /// <summary>What follows the number.</summary>
    public abstract T Read(ref FrameReader reader);
}

/// <summary>
/// Unions on the wire: a byte that says which case it is, then the case's fields. Cases are numbered from 1 without a
/// gap, and the numbers are frozen: append only.
/// </summary>
internal static class Union
{
    /// <summary>A case with fields.</summary>
    public static UnionCase<T> Case<T, TCase>(byte number, Action<FrameWriter, TCase> write, FrameCodec<T>.Decoder read)
        where TCase : T => new WithFields<T, TCase>(number, write, read);

    /// <summary>A case without fields.</summary>
    public static UnionCase<T> Case<T>(byte number, T value)
        where T : notnull => new Constant<T>(number, value);

    /// <summary>The barrier stands higher: its epoch, and the route that was told with it.</summary>
    public static UnionCase<T> Stale<T, TCase>(
        byte number,
        Func<TCase, (long Epoch, FSharpOption<Route>? Route)> fields,
        Func<long, FSharpOption<Route>?, T> make
    )
        where TCase : T =>
        Case<T, TCase>(
            number,
            (writer, reply) =>
            {
                var (epoch, route) = fields(reply);
                writer.Int64(epoch);
                writer.OptionalRoute(route);
            },
            (ref reader) => make(reader.LongNatural(), reader.OptionalRoute())
        );

    public static UnionCase<T> Refused<T, TCase>(byte number, Func<TCase, Refusal> field, Func<Refusal, T> make)
        where TCase : T =>
        Case<T, TCase>(number, (writer, reply) => writer.Refusal(field(reply)), (ref reader) => make(reader.Refusal()));

    public static FrameCodec<T> Codec<T>(FrameKind kind, params UnionCase<T>[] cases)
        where T : notnull
    {
        Check(cases);
        return new(kind, (writer, value) => Write(writer, value, cases), (ref reader) => Read(ref reader, cases));
    }

    public static void Write<T>(FrameWriter writer, T value, UnionCase<T>[] cases)
        where T : notnull
    {
        foreach (var candidate in cases)
        {
            if (candidate.TryWrite(writer, value))
                return;
        }

        throw new ArgumentException($"{value.GetType().Name} has no number on the wire");
    }

    /// <exception cref="WireException">No case has the number that comes next.</exception>
    public static T Read<T>(ref FrameReader reader, UnionCase<T>[] cases)
    {
        var number = reader.Byte();
        return number >= 1 && number <= cases.Length ? cases[number - 1].Read(ref reader) : throw NoCase(number);
    }

    public static WireException NoCase(byte number) => FrameReader.Bad($"no case has the number {number} here");

    private static void Check<T>(UnionCase<T>[] cases)
    {
        for (var i = 0; i < cases.Length; i++)
        {
            if (cases[i].Number != i + 1)
                throw new ArgumentException($"case {i + 1} of {typeof(T).Name} has the number {cases[i].Number}");
        }
    }

    private sealed class WithFields<T, TCase>(byte number, Action<FrameWriter, TCase> write, FrameCodec<T>.Decoder read)
        : UnionCase<T>(number)
        where TCase : T
    {
        public override bool TryWrite(FrameWriter writer, T value)
        {
            if (value is not TCase own)
                return false;
            writer.Byte(Number);
            write(writer, own);
            return true;
        }

        public override T Read(ref FrameReader reader) => read(ref reader);
    }

    private sealed class Constant<T>(byte number, T constant) : UnionCase<T>(number)
        where T : notnull
    {
        public override bool TryWrite(FrameWriter writer, T value)
        {
            if (!constant.Equals(value))
                return false;
            writer.Byte(Number);
            return true;
        }

        public override T Read(ref FrameReader reader) => constant;
    }
}
