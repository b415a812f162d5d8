/// Memory that decoding pages needs besides its output, kept from page to page.
///
/// One page at a time may use it. It is small but for lookbacks, where it holds up to two windows.
final class DecoderScratch {
  /// How many latents of state fit the fixed part: those of convolutions, which are 32 at most.
  private static let smallStateCount = 32

  private let memory: UnsafeMutableRawPointer
  private var histories: [UnsafeMutableRawBufferPointer?] = [nil, nil]

  /// The memory of a page's latents, one batch of each stream, and what goes with them.
  enum Part: Int, CaseIterable {
    case primary
    case secondary
    case lookback
    case symbols
    case primaryState
    case secondaryState
    case tail

    fileprivate static let sizes: [Int] = allCases.map { part in
      switch part {
      case .primary, .secondary: PageSource.batchCount * 8
      case .lookback: PageSource.batchCount * 4
      case .symbols: PageSource.batchCount * 2
      case .primaryState, .secondaryState: (smallStateCount + PageSource.batchCount) * 8
      case .tail: (PageSource.tailByteCount + 63) & ~63
      }
    }

    fileprivate static let offsets: [Int] = sizes.indices.map { sizes[..<$0].reduce(0, +) }
  }

  init() {
    memory = .allocate(byteCount: Part.sizes.reduce(0, +), alignment: 64)
  }

  deinit {
    memory.deallocate()
    for history in histories { history?.deallocate() }
  }

  /// The memory of a part, as values of a type.
  func pointer<Value: BitwiseCopyable>(
    _ part: Part, to type: Value.Type
  ) -> UnsafeMutablePointer<Value> {
    (memory + Part.offsets[part.rawValue]).assumingMemoryBound(to: type)
  }

  /// Memory for a history of lookbacks: of the primary latents or of the secondary ones.
  func history<Value: Latent>(
    isSecondary: Bool, capacity: Int, of type: Value.Type
  ) -> UnsafeMutablePointer<Value> {
    let index = isSecondary ? 1 : 0
    let byteCount = capacity * MemoryLayout<Value>.stride
    if let present = histories[index], present.count >= byteCount,
      let base = present.baseAddress
    {
      return base.assumingMemoryBound(to: type)
    }
    histories[index]?.deallocate()
    let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
    histories[index] = UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
    return memory.assumingMemoryBound(to: type)
  }
}
