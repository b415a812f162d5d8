/// Compression of numbers in the Pcodec format, bit-compatible with its reference implementation.
///
/// ```swift
/// let readings = [20.5, 20.5, 20.6, 20.4, 20.5]
/// let compressed = try Pco.compress(readings)
/// let same = try Pco.decompress(compressed, as: Double.self)
/// ```
///
/// Numbers come back bit for bit: infinities, negative zeros and the payloads of NaN included. The
/// data is what tools call a standalone `.pco` file: the type of the numbers and all that is needed
/// to decode them are in it.
public enum Pco {
  /// How many values `decompress(_:as:maximumCount:)` returns at most, unless it is told otherwise.
  ///
  /// A chunk of equal values takes a few bytes however long it is, so without a limit a short input
  /// could fill the memory.
  public static let defaultMaximumCount = 1 << 28

  /// Compresses numbers to standalone data.
  ///
  /// How the numbers are represented (as they are, as multiples of a common factor, as decimal
  /// fractions, by differences to their neighbours) is found out for each chunk.
  ///
  /// - Parameters:
  ///   - numbers: The numbers, of any count.
  ///   - options: The effort, and the size of chunks.
  /// - Returns: The compressed bytes; never more than the numbers' own and a few for each chunk.
  /// - Throws: `PcoError` with the code `invalidArgument`, if an option is out of range.
  public static func compress<Number: PcoNumber>(
    _ numbers: [Number], options: PcoOptions = PcoOptions()
  ) throws(PcoError) -> [UInt8] {
    let result = numbers.withUnsafeBufferPointer { numbers in
      Result { () throws(PcoError) in try compress(numbers, options: options) }
    }
    return try result.get()
  }

  /// Compresses numbers in memory of the caller to standalone data.
  ///
  /// - Parameters:
  ///   - numbers: The numbers, of any count.
  ///   - options: The effort, and the size of chunks.
  /// - Returns: The compressed bytes; never more than the numbers' own and a few for each chunk.
  /// - Throws: `PcoError` with the code `invalidArgument`, if an option is out of range.
  public static func compress<Number: PcoNumber>(
    _ numbers: UnsafeBufferPointer<Number>, options: PcoOptions = PcoOptions()
  ) throws(PcoError) -> [UInt8] {
    guard (0...12).contains(options.level) else {
      throw PcoError(.invalidArgument, "the level is \(options.level), not 0 to 12")
    }
    guard (1...1 << 24).contains(options.maximumChunkCount) else {
      throw PcoError(.invalidArgument, "chunks of at most \(options.maximumChunkCount) numbers")
    }
    return StandaloneWriter.write(
      UnsafeRawBufferPointer(numbers), count: numbers.count, type: Number.pcoNumberType,
      options: options)
  }

  /// Decompresses standalone data.
  ///
  /// - Parameters:
  ///   - bytes: What `compress(_:options:)` or another implementation has made. Bytes behind the
  ///     end mark are not looked at.
  ///   - type: The type of the numbers; it must be the one that they were compressed as.
  ///   - maximumCount: More numbers than these are an error.
  /// - Returns: The numbers.
  /// - Throws: `PcoError`, with the code `typeMismatch`, `tooManyValues`, `truncated`, `corrupted`
  ///   or `unsupportedVersion`. Damage need not be noticed: the format has no checksum.
  public static func decompress<Number: PcoNumber>(
    _ bytes: [UInt8], as type: Number.Type = Number.self,
    maximumCount: Int = defaultMaximumCount
  ) throws(PcoError) -> [Number] {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(PcoError) in
        try decompressArray(bytes, as: type, maximumCount: maximumCount)
      }
    }
    return try result.get()
  }

  /// Decompresses standalone data into memory of the caller.
  ///
  /// - Parameters:
  ///   - bytes: What `compress(_:options:)` or another implementation has made.
  ///   - numbers: Memory for the numbers; more numbers than fit are an error.
  /// - Returns: How many numbers were written, from the beginning on.
  /// - Throws: `PcoError`, as `decompress(_:as:maximumCount:)` does. The memory may have been
  ///   written to before that.
  public static func decompress<Number: PcoNumber>(
    _ bytes: UnsafeRawBufferPointer, into numbers: UnsafeMutableBufferPointer<Number>
  ) throws(PcoError) -> Int {
    var reader = try StandaloneReader(bytes)
    var count = 0
    while let header = try reader.nextChunk() {
      try check(header, is: Number.pcoNumberType, room: numbers.count - count)
      guard let base = numbers.baseAddress else { break }
      try reader.decode(header, into: UnsafeMutableRawPointer(base + count))
      count += header.count
    }
    return count
  }

  private static func check(
    _ header: StandaloneReader.ChunkHeader, is type: PcoNumberType, room: Int
  ) throws(PcoError) {
    guard header.type == type else {
      throw PcoError(.typeMismatch, "the numbers are \(header.type), not \(type)")
    }
    guard header.count <= room else {
      throw PcoError(.tooManyValues, "there are more numbers than there is room for")
    }
  }

  /// The count that memory is taken for ahead of decoding, if so many are announced.
  private static let trustedCountHint = 1 << 22

  private static func decompressArray<Number: PcoNumber>(
    _ bytes: UnsafeRawBufferPointer, as type: Number.Type, maximumCount: Int
  ) throws(PcoError) -> [Number] {
    var reader = try StandaloneReader(bytes)
    var pending = try reader.nextChunk()
    var failure: PcoError?
    let capacity = min(reader.countHint, maximumCount, trustedCountHint)
    // As far as the hint is right, the numbers are decoded into the array's own memory.
    var numbers = [Number](unsafeUninitializedCapacity: max(capacity, 0)) { buffer, count in
      do throws(PcoError) {
        while let header = pending, header.count <= buffer.count - count,
          let base = buffer.baseAddress
        {
          try check(header, is: Number.pcoNumberType, room: maximumCount - count)
          try reader.decode(header, into: UnsafeMutableRawPointer(base + count))
          count += header.count
          pending = try reader.nextChunk()
        }
      } catch { failure = error }
    }
    if let failure { throw failure }
    while let header = pending {
      try check(header, is: Number.pcoNumberType, room: maximumCount - numbers.count)
      let chunk = [Number](unsafeUninitializedCapacity: header.count) { buffer, count in
        guard let base = buffer.baseAddress else { return }
        do throws(PcoError) {
          try reader.decode(header, into: UnsafeMutableRawPointer(base))
          count = header.count
        } catch { failure = error }
      }
      if let failure { throw failure }
      numbers.append(contentsOf: chunk)
      pending = try reader.nextChunk()
    }
    return numbers
  }
}
