namespace Miroir.Runtime.AntiEntropy;

/// <summary>What a pass is for. Names are shown to people, and stored in its history.</summary>
internal static class PassKind
{
    /// <summary>Compares and reports.</summary>
    public const string Verify = "verify";

    /// <summary>Compares and repairs.</summary>
    public const string Run = "run";

    /// <summary>Compares, and names what a run would repair.</summary>
    public const string DryRun = "dry-run";

    /// <summary>Repairs what an earlier dry run has named.</summary>
    public const string Apply = "apply";

    /// <summary>By the schedule.</summary>
    public const string Scheduled = "scheduled";

    /// <summary>For a migration: it waits for certificates, or has just ended.</summary>
    public const string Migration = "migration";

    /// <summary>A node answers, and does not answer for a replica that it should have.</summary>
    public const string Rebuild = "rebuild";

    /// <summary>Recomputes digests from bodies, and heals.</summary>
    public const string Scrub = "scrub";

    /// <summary>Kinds that an operator may ask for.</summary>
    public static bool IsForOperators(string kind) => kind is Verify or Run or DryRun or Scrub;

    public static bool Repairs(string kind, EntropyOptions options) =>
        kind is Run or Apply or Scrub or Rebuild || (kind is Scheduled or Migration && options.AutoRepair);
}
