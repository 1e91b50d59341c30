namespace Miroir.Runtime.AntiEntropy;

/// <summary>A shard can't be compared, or not any further, and why.</summary>
internal sealed class PassEndedException(string message) : Exception(message);
