/// Writes standalone Pcodec data.
enum StandaloneWriter {
  /// Compresses numbers, chunk by chunk.
  static func write(
    _ numbers: UnsafeRawBufferPointer, count: Int, type: PcoNumberType, options: PcoOptions
  ) -> [UInt8] {
    var bytes = header(count: count)
    let chunkCount = (count + options.maximumChunkCount - 1) / options.maximumChunkCount
    for index in 0..<chunkCount {
      // Even pieces, so that the last one is not much smaller than the others.
      let start = index * count / chunkCount
      let length = (index + 1) * count / chunkCount - start
      guard let base = numbers.baseAddress else { break }
      let chunk = EncodedChunk(
        base + start * type.bitWidth / 8, type: type, pageCounts: [length], options: options)
      let lengthField = UInt32(length - 1)
      bytes.append(type.rawValue)
      for shift in [UInt32(0), 8, 16] {
        bytes.append(UInt8(truncatingIfNeeded: lengthField >> shift))
      }
      bytes.append(contentsOf: chunk.meta)
      for page in chunk.pages { bytes.append(contentsOf: page) }
    }
    bytes.append(0)
    return bytes
  }

  private static func header(count: Int) -> [UInt8] {
    var writer = BitWriter()
    for byte in "pco!".utf8 { writer.write(UInt64(byte), 8) }
    writer.write(3, 8)
    // No type is declared for all chunks; each declares its own.
    writer.write(0, 8)
    let hintWidth = max(1, count.bitWidth - count.leadingZeroBitCount)
    writer.write(hintWidth - 1, 6)
    writer.write(count, hintWidth)
    writer.alignToByte()
    // The version of the content: 4.1.
    writer.write(4, 8)
    writer.write(1, 8)
    return writer.finish()
  }
}
