/// Sorts latents by counting and distributing digits.
enum LatentSorter {
  /// A sorted copy of some latents.
  ///
  /// - Parameters:
  ///   - segments: Where they are in `values`.
  @inline(__always)
  static func sorted<Value: Latent>(
    _ values: UnsafePointer<Value>, segments: [Range<Int>]
  ) -> LatentBuffer<Value> {
    let count = segments.reduce(0) { $0 + $1.count }
    let result = LatentBuffer<Value>(count: count)
    guard count > 0 else { return result }
    var smallest = Value.max
    var largest = Value.min
    var next = result.values
    for segment in segments {
      let first = values + segment.lowerBound
      for index in 0..<segment.count {
        smallest = min(smallest, first[index])
        largest = max(largest, first[index])
      }
      next.update(from: first, count: segment.count)
      next += segment.count
    }
    let bitCount = (largest &- smallest).bitLength
    if bitCount == 0 { return result }
    if bitCount <= (count >= 1 << 14 ? 16 : 9) {
      sortByCounting(result, smallest: smallest, bitCount: bitCount)
      return result
    }
    return sortByDigits(result, smallest: smallest, bitCount: bitCount)
  }

  /// Counts each value, and writes it so many times.
  @inline(__always)
  private static func sortByCounting<Value: Latent>(
    _ buffer: LatentBuffer<Value>, smallest: Value, bitCount: Int
  ) {
    let counts = UnsafeMutablePointer<UInt32>.allocate(capacity: 1 << bitCount)
    defer { counts.deallocate() }
    counts.initialize(repeating: 0, count: 1 << bitCount)
    for index in 0..<buffer.count {
      counts[Int(truncatingIfNeeded: buffer.values[index] &- smallest)] &+= 1
    }
    var next = buffer.values
    for value in 0..<(1 << bitCount) where counts[value] > 0 {
      let count = Int(counts[value])
      next.update(repeating: smallest &+ Value(truncatingIfNeeded: value), count: count)
      next += count
    }
  }

  /// Distributes by one digit after the other, the lowest first.
  @inline(__always)
  private static func sortByDigits<Value: Latent>(
    _ buffer: LatentBuffer<Value>, smallest: Value, bitCount: Int
  ) -> LatentBuffer<Value> {
    let count = buffer.count
    let largestDigit = count >= 1 << 14 ? 11 : 8
    let passCount = (bitCount + largestDigit - 1) / largestDigit
    let digitBitCount = (bitCount + passCount - 1) / passCount
    let mask = (1 << digitBitCount) - 1
    let starts = UnsafeMutablePointer<UInt32>.allocate(capacity: passCount << digitBitCount)
    defer { starts.deallocate() }
    starts.initialize(repeating: 0, count: passCount << digitBitCount)
    for index in 0..<count {
      var rest = UInt64(truncatingIfNeeded: buffer.values[index] &- smallest)
      var table = starts
      for _ in 0..<passCount {
        table[Int(truncatingIfNeeded: rest) & mask] &+= 1
        rest &>>= UInt64(truncatingIfNeeded: digitBitCount)
        table += mask &+ 1
      }
    }
    var (from, into) = (buffer, LatentBuffer<Value>(count: count))
    for pass in 0..<passCount {
      let table = starts + pass << digitBitCount
      var start: UInt32 = 0
      var isTrivial = false
      for digit in 0...mask {
        let length = table[digit]
        if Int(length) == count { isTrivial = true }
        table[digit] = start
        start &+= length
      }
      if isTrivial { continue }
      let shift = UInt64(truncatingIfNeeded: pass &* digitBitCount)
      let (source, target) = (from.values, into.values)
      for index in 0..<count {
        let value = source[index]
        let rest = UInt64(truncatingIfNeeded: value &- smallest) &>> shift
        let digit = Int(truncatingIfNeeded: rest) & mask
        target[Int(table[digit])] = value
        table[digit] &+= 1
      }
      swap(&from, &into)
    }
    return from
  }
}
