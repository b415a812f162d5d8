import BTreeKV

/// Prints what was measured, for people or as one JSON object a line.
struct Report {
  let options: Options

  /// What is known at the end.
  struct Summary {
    var statistics: Statistics?
    /// Of the file, after it was closed.
    var fileByteCount: Int
    var peakMemoryByteCount: Int
    var isVerified: Bool
  }

  func header(_ opened: Statistics, nanoseconds: UInt64, isReused: Bool) {
    guard !options.printsJSON else { return }
    line(
      """
      file="\(options.path)" count=\(options.count) page=\(opened.pageSize) \
      durability=\(options.durability.rawValue) keys=\(options.keys.rawValue) \
      key=\(options.keyByteCount) value=\(options.valueByteCount) seed=\(options.seed)
      """)
    let milliseconds = decimal(Double(nanoseconds) * 1e-6, places: 1)
    line("\(isReused ? "open" : "create"): \(milliseconds) ms")
  }

  func phase(_ phase: Options.Phase, _ measured: Measurement) {
    if options.printsJSON {
      line(
        """
        {"phase":"\(phase.rawValue)","operations":\(measured.operations),\
        "seconds":\(decimal(measured.seconds, places: 6)),\
        "operations_per_second":\(decimal(measured.operationsPerSecond, places: 0))\
        \(latencies(measured.latencies, prefix: ""))}
        """)
      return
    }
    let milliseconds = decimal(measured.seconds * 1000, places: 0)
    let rate = "(rate=\(decimal(measured.operationsPerSecond, places: 0)) op/s)"
    switch phase {
    case .ascending: line("iter: asc \(milliseconds) ms \(rate) n=\(measured.operations)")
    case .descending: line("iter: desc \(milliseconds) ms \(rate) n=\(measured.operations)")
    default: line("\(phase.rawValue): \(milliseconds) ms \(rate)")
    }
    line(latencies: measured.latencies)
  }

  func bounds(min: String, max: String) {
    if !options.printsJSON { line("iter: min=\(min) max=\(max)") }
  }

  func mixed(_ reads: Measurement, _ writes: Measurement) {
    let readRate = decimal(reads.operationsPerSecond, places: 0)
    let writeRate = decimal(writes.operationsPerSecond, places: 0)
    if options.printsJSON {
      line(
        """
        {"phase":"mixed","reads_per_second":\(readRate),"writes_per_second":\(writeRate)\
        \(latencies(reads.latencies, prefix: "read_"))\
        \(latencies(writes.latencies, prefix: "write_"))}
        """)
      return
    }
    let milliseconds = decimal(reads.seconds * 1000, places: 0)
    line("mixed: \(milliseconds) ms (reads=\(readRate) op/s, writes=\(writeRate) op/s)")
    if let latencies = reads.latencies { line("  of reads:"); line(latencies: latencies) }
    if let latencies = writes.latencies { line("  of writes:"); line(latencies: latencies) }
  }

  func summary(_ summary: Summary) {
    let height = summary.statistics?.height ?? 0
    let fill = summary.statistics?.fill ?? 0
    if options.printsJSON {
      line(
        """
        {"phase":"summary","file_bytes":\(summary.fileByteCount),"height":\(height),\
        "fill":\(decimal(fill, places: 4)),"peak_rss_bytes":\(summary.peakMemoryByteCount),\
        "verified":\(summary.isVerified)}
        """)
      return
    }
    if let statistics = summary.statistics {
      line(
        """
        tree: height=\(height) fill=\(decimal(fill * 100, places: 1)) % \
        file=\(mebibytes(statistics.fileByteCount)) n=\(statistics.entryCount)
        """)
      line("cache: \(mebibytes(statistics.cacheByteCount))")
    }
    line("file: \(summary.fileByteCount) bytes after closing")
    line("memory: \(mebibytes(summary.peakMemoryByteCount)) at most")
    line("verified: \(summary.isVerified)")
  }

  private func latencies(_ histogram: Histogram?, prefix: String) -> String {
    guard let histogram else { return "" }
    return """
      ,"\(prefix)p50_ns":\(histogram.percentile(0.5)),\
      "\(prefix)p99_ns":\(histogram.percentile(0.99)),\
      "\(prefix)p999_ns":\(histogram.percentile(0.999)),"\(prefix)max_ns":\(histogram.maximum)
      """
  }

  private func line(latencies histogram: Histogram?) {
    guard let histogram else { return }
    line(
      """
        p50=\(histogram.percentile(0.5)) p99=\(histogram.percentile(0.99)) \
      p99.9=\(histogram.percentile(0.999)) max=\(histogram.maximum) ns
      """)
  }

  private func mebibytes(_ byteCount: Int) -> String {
    decimal(Double(byteCount) / 1_048_576, places: 1) + " MiB"
  }

  private func line(_ text: String) { write(text + "\n", to: standardOutput) }
}
