namespace Miroir.Runtime.Nodes;

/// <summary>What one try came to.</summary>
/// <param name="Value">Only where it is done.</param>
/// <param name="Why">Why it was in vain, where it was.</param>
internal readonly record struct Tried<T>(bool IsDone, T Value, string Why)
{
    public static Tried<T> Done(T value) => new(true, value, "");

    public static Tried<T> InVain(string why) => new(false, default!, why);
}
