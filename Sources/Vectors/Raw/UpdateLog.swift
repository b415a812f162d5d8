/// Elements to be stored in places, in the order in which they came.
@usableFromInline
struct UpdateLog<Stored> {
  @usableFromInline var indices: ContiguousArray<Int> = []
  @usableFromInline var values: ContiguousArray<Stored> = []

  @usableFromInline init() {}

  @inlinable var isEmpty: Bool { indices.isEmpty }

  @inlinable mutating func append(_ index: Int, _ value: Stored) {
    indices.append(index)
    values.append(value)
  }

  /// The updates by their places; of those of one place, the last.
  ///
  /// - Parameter limit: if given, updates of this place and those behind it are left out.
  func sorted(below limit: Int? = nil) -> VectorUpdates {
    let order = ascendingOrder()
    var result = VectorUpdates()
    result.indices.reserveCapacity(order.count)
    let stride = MemoryLayout<Stored>.stride
    result.values = [UInt8](unsafeUninitializedCapacity: order.count * stride) { room, count in
      let target = UnsafeMutableRawBufferPointer(room)
      values.withUnsafeBytes { bytes in
        guard let source = bytes.baseAddress else { return }
        for (position, place) in order.enumerated() {
          let index = indices[Int(place)]
          // Of equal ones the last comes last.
          if let limit, index >= limit { break }
          if position + 1 < order.count, indices[Int(order[position + 1])] == index { continue }
          result.indices.append(index)
          copyElement(source + Int(place) * stride, to: target, at: count, stride: stride)
          count += stride
        }
      }
    }
    return result
  }

  /// The positions of all updates, ordered by their places, equal ones as they came.
  private func ascendingOrder() -> ContiguousArray<UInt32> {
    precondition(indices.count < 1 << 32, "so many updates can't be made at once")
    var order = ContiguousArray(UInt32(0)..<UInt32(indices.count))
    var isAscending = true
    var highest = 0
    for position in indices.indices {
      if position > 0, indices[position] < indices[position - 1] { isAscending = false }
      highest = max(highest, indices[position])
    }
    if isAscending { return order }
    // Negative ones are refused by whoever applies them; here they only must not be lost.
    guard indices.allSatisfy({ $0 >= 0 }) else {
      return ContiguousArray(
        order.sorted { (indices[Int($0)], $0) < (indices[Int($1)], $1) })
    }
    // A digit of 11 bits after the other, the lowest first; each pass keeps the order of equal ones.
    var other = order
    var shift = 0
    while shift < 64, highest >> shift > 0 {
      var ends = ContiguousArray(repeating: 0, count: 2048 + 1)
      for place in order { ends[(indices[Int(place)] >> shift & 2047) + 1] += 1 }
      for digit in 0..<2048 { ends[digit + 1] += ends[digit] }
      for place in order {
        let digit = indices[Int(place)] >> shift & 2047
        other[ends[digit]] = place
        ends[digit] += 1
      }
      swap(&order, &other)
      shift += 11
    }
    return order
  }
}
