using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Miroir.Server.Api;

/// <summary>
/// The instruments of one scope in Prometheus's text format (version 0.0.4), as they were last recorded: counters add
/// up, gauges keep what came last. Instruments are named as they shall appear.
/// </summary>
internal sealed class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>Combinations of labels that are kept; those that come later are left out.</summary>
    private const int MaxSeries = 10_000;

    private readonly Lock gate = new();
    private readonly SortedDictionary<string, SortedDictionary<string, double>> series = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Instrument> instruments = new(StringComparer.Ordinal);
    private readonly MeterListener listener = new();
    private int count;

    public PrometheusText(object scope)
    {
        listener.InstrumentPublished = (instrument, listening) =>
        {
            if (ReferenceEquals(instrument.Meter.Scope, scope))
                listening.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, labels, _) => Take(instrument, value, labels));
        listener.SetMeasurementEventCallback<double>((instrument, value, labels, _) => Take(instrument, value, labels));
        listener.Start();
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        lock (gate)
            foreach (var (name, values) in series)
            {
                var instrument = instruments[name];
                text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {instrument.Description}\n");
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"# TYPE {name} {(IsSum(instrument) ? "counter" : "gauge")}\n"
                );
                foreach (var (labels, value) in values)
                    text.Append(CultureInfo.InvariantCulture, $"{name}{labels} {value}\n");
            }
        return text.ToString();
    }

    private void Take(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> labels)
    {
        var text = Labels(labels);
        lock (gate)
        {
            instruments[instrument.Name] = instrument;
            if (!series.TryGetValue(instrument.Name, out var values))
                series[instrument.Name] = values = new(StringComparer.Ordinal);
            if (!values.TryGetValue(text, out var before) && ++count > MaxSeries)
                return;
            values[text] = IsSum(instrument) ? before + value : value;
        }
    }

    private static bool IsSum(Instrument instrument) => instrument is Counter<long>;

    private static string Labels(ReadOnlySpan<KeyValuePair<string, object?>> labels)
    {
        var text = new StringBuilder();
        foreach (var (name, value) in labels)
            text.Append(text.Length == 0 ? '{' : ',')
                .Append(name)
                .Append("=\"")
                .Append(Escape(Convert.ToString(value, CultureInfo.InvariantCulture) ?? ""))
                .Append('"');
        return text.Length == 0 ? "" : text.Append('}').ToString();
    }

    private static string Escape(string value) =>
        value.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n");
}
