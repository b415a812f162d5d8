/// Writing a chunk's meta.
extension ChunkMeta {
  /// Writes the meta of a chunk of numbers of a type.
  func write(to writer: inout BitWriter, type: PcoNumberType) {
    let width = type.bitWidth
    switch mode {
    case .classic:
      writer.write(0, 4)
    case .intMult(let base):
      writer.write(1, 4)
      writer.write(base, width)
    case .floatMult(let baseBits):
      writer.write(2, 4)
      writer.write(Self.ordered(ofFloatBits: baseBits, width: width), width)
    case .floatQuant(let lowerBitCount):
      writer.write(3, 4)
      writer.write(lowerBitCount, 8)
    case .dictionary(let entries):
      writer.write(4, 4)
      writer.write(entries.count, 25)
      writer.alignToByte()
      for entry in entries { writer.write(entry, width) }
    }
    writeDelta(to: &writer)
    lookback?.write(to: &writer, latentWidth: 32)
    primary.write(
      to: &writer, latentWidth: Self.primaryWidth(mode: mode, numberWidth: width))
    secondary?.write(to: &writer, latentWidth: width)
    writer.alignToByte()
  }

  private func writeDelta(to writer: inout BitWriter) {
    switch delta {
    case .none:
      writer.write(0, 4)
    case .consecutive(let order, let coversSecondary):
      writer.write(1, 4)
      writer.write(order, 3)
      writer.write(coversSecondary ? 1 : 0, 1)
    case .lookback(let windowLog, let stateLog, let coversSecondary):
      writer.write(2, 4)
      writer.write(windowLog - 1, 5)
      writer.write(stateLog, 4)
      writer.write(coversSecondary ? 1 : 0, 1)
    case .convolution(let shift, let bias, let weights):
      writer.write(3, 4)
      writer.write(shift, 5)
      writer.write(UInt64(bitPattern: bias) ^ 1 << 63, 64)
      writer.write(weights.count - 1, 5)
      for weight in weights { writer.write(UInt64(UInt32(bitPattern: weight) ^ 1 << 31), 32) }
    }
  }
}

extension LatentMeta {
  /// Writes the bins of latents of a width.
  func write(to writer: inout BitWriter, latentWidth: Int) {
    let offsetField = ChunkMeta.offsetBitCountWidth(ofLatentWidth: latentWidth)
    writer.write(sizeLog, 4)
    writer.write(bins.count, 15)
    for bin in bins {
      writer.write(bin.weight - 1, sizeLog)
      writer.write(bin.lower, latentWidth)
      writer.write(bin.offsetBitCount, offsetField)
    }
  }
}
